"""Statistics that no library has, against tables, libraries and cases whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from gridstorm.statistics import (
    Points,
    Surface,
    credible,
    expected_best,
    falls_at_end,
    fenced,
    rank_correlation,
    subset,
)
from gridstorm.statistics.subset import critical


@pytest.mark.parametrize(
    ("others", "freedom", "table"),
    [(1, 10, 1.81), (2, 10, 2.15), (5, 10, 2.56), (4, 20, 2.30), (9, 60, 2.48), (1, 10**6, 1.645)],
)
def test_the_constant_of_the_subset_is_that_of_dunnetts_one_sided_table(
    others: int, freedom: int, table: float
) -> None:
    assert critical(others, freedom) == pytest.approx(table, abs=0.012)


def test_a_setting_that_is_far_better_is_alone_and_equal_ones_are_together() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (6, 4))
    apart = np.arange(6)[:, None] + noise
    assert subset(apart)[0].tolist() == [True, False, False, False, False, False]
    assert subset(noise)[0].all()


def test_what_a_seed_does_to_all_alike_is_no_noise() -> None:
    rng = np.random.default_rng(1)
    scores = np.arange(5)[:, None] * 0.5 + rng.normal(0, 0.05, (5, 4))
    shifted = scores + np.array([0.0, 10.0, -5.0, 3.0])
    assert np.array_equal(subset(scores)[0], subset(shifted)[0])
    assert subset(scores)[1] == pytest.approx(subset(shifted)[1])


def test_missing_runs_leave_degrees_of_freedom_out() -> None:
    scores = np.random.default_rng(2).normal(0, 1, (4, 3))
    scores[2, 1] = np.nan
    inside, deviation, freedom = subset(scores)
    assert inside.any() and deviation > 0 and freedom in (1, 2)


def test_the_expected_best_is_the_mean_over_all_subsets() -> None:
    scores = np.array([4.0, 1.0, 3.0, 2.0])
    band = expected_best(scores)
    pairs = [min(a, b) for place, a in enumerate(scores) for b in scores[:place]]
    assert band.mean[0] == pytest.approx(scores.mean()) and band.mean[-1] == 1.0
    assert band.mean[1] == pytest.approx(np.mean(pairs))
    assert np.isneginf(band.bounds[0, -1])  # how good the best of four can be, four trials do not tell


def test_the_bounds_of_the_expected_best_hold_the_truth() -> None:
    rng, held = np.random.default_rng(3), []
    for _ in range(200):
        bounds = expected_best(rng.normal(size=40)).bounds
        truth = stats.norm.ppf(1 - 0.5 ** (1 / np.array([1, 5, 20, 40])))
        held.append((bounds[0, [0, 4, 19, 39]] <= truth) & (truth <= bounds[1, [0, 4, 19, 39]]))
    assert (np.mean(held, 0) > 0.9).all()


def test_a_rank_correlation_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(4)
    early = rng.normal(size=30)
    found = rank_correlation(early, early + 0.5 * rng.normal(size=30))
    assert found and found.low < found.value < found.high and found.count == 30
    assert rank_correlation(early[:4], early[:4]) is None and rank_correlation(np.ones(9), early[:9]) is None


def test_the_fewest_that_reach_a_level_are_credible() -> None:
    assert credible(np.array([0.1, 0.6, 0.3]), 0.9).tolist() == [1, 2]
    assert credible(np.array([1.0, 0.0]), 0.99).tolist() == [0]


def test_what_is_far_out_counts_as_the_fence() -> None:
    assert fenced(np.array([1.0, 2.0, 3.0, 4.0, 1e9])).tolist() == [1.0, 2.0, 3.0, 4.0, 10.0]


def _bowl(seed: int) -> tuple[Points, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, names = rng.random((40, 2)), rng.integers(0, 2, (40, 1))
    scores = 4 * (x[:, 0] - 0.4) ** 2 + 0.1 * x[:, 1] + 0.3 * names[:, 0] + 0.02 * rng.normal(size=40)
    return Points(x, names), scores


def test_a_drawn_surface_knows_the_bowl_its_noise_and_which_key_made_it() -> None:
    points, scores = _bowl(0)
    rng = np.random.default_rng(0)
    surface = Surface.draw(points, scores, np.ones(40), rng)
    line = Points(np.column_stack([np.linspace(0, 1, 11), np.full(11, 0.5)]), np.zeros((11, 1), int))
    assert np.linspace(0, 1, 11)[surface.draws(line, 20, rng).mean(0).argmin()] == pytest.approx(0.4, abs=0.11)
    assert 0.01 < np.median(surface.noise) < 0.06
    assert surface.importances(rng).mean(0).argmax() == 0


def test_a_slope_at_the_end_is_told_from_a_bowl() -> None:
    points, scores = _bowl(1)
    assert not falls_at_end(points, scores, 0, is_top=True) and not falls_at_end(points, scores, 0, is_top=False)
    falling = scores - 8 * points.numbers[:, 0]
    assert falls_at_end(points, falling, 0, is_top=True) and not falls_at_end(points, falling, 0, is_top=False)
