"""What the samplers of our own draw."""

from collections import Counter

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from gridstorm.sampler import drawn
from gridstorm.sampler.sobol import Sobol

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "depth": IntDistribution(1, 4),
    "model": CategoricalDistribution(["mlp", "cnn"]),
}


def points(count: int, space: dict[str, BaseDistribution] = SPACE, seed: int = 7) -> list[dict[str, object]]:
    """Return the first points of a Sobol sequence, drawn as a sweep does: by a new sampler for each."""
    study = optuna.create_study()
    found = []
    for _ in range(count):
        study.sampler = Sobol(space, seed)
        found.append(study.ask(space).params)
    return found


def test_extending_a_sobol_sequence_keeps_its_beginning() -> None:
    assert points(32)[:16] == points(16)


def test_a_sobol_sequence_does_not_depend_on_the_order_of_its_axes_but_on_its_seed() -> None:
    assert points(8, dict(reversed(SPACE.items()))) == points(8)
    assert points(8, seed=8) != points(8)


def test_sixteen_sobol_points_fall_evenly_into_every_quarter() -> None:
    counts = Counter(int(float(str(point["dropout"])) / 0.125) for point in points(16))
    assert counts == {0: 4, 1: 4, 2: 4, 3: 4}
    assert Counter(point["depth"] for point in points(16)) == {1: 4, 2: 4, 3: 4, 4: 4}
    assert Counter(point["model"] for point in points(16)) == {"mlp": 8, "cnn": 8}


@pytest.mark.parametrize("name", SPACE)
def test_what_is_drawn_lies_inside_from_end_to_end(name: str) -> None:
    one = SPACE[name]
    values = [drawn(share / 1000, one) for share in range(1001)]
    assert all(one._contains(one.to_internal_repr(value)) for value in values)
    ends = one.choices if isinstance(one, CategoricalDistribution) else [one._asdict()["low"], one._asdict()["high"]]
    assert [values[0], values[-1]] == [pytest.approx(ends[0]), pytest.approx(ends[-1])]


def test_whole_numbers_are_equally_likely_by_logarithm_where_it_is_asked_for() -> None:
    share = Counter(drawn(index / 10_000, IntDistribution(1, 64, log=True)) <= 8 for index in range(10_000))
    assert 0.5 < share[True] / 10_000 < 0.65
