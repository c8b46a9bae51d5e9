"""The answer of a sweep on made-up ones whose truth is known: rates, sentences, the next command."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from gridstorm.answer import Answer, Contest, Setting, Study
from gridstorm.answer.influence import edges, importance, profile
from gridstorm.record import Result, Status
from house import ALL
from world import simulated

SWEEPS = 200 if ALL else 8


def made(*losses: list[float], key: str = "optimizer.lr", **about: Any) -> Answer:
    """Return the answer of settings, of which each has these losses by seed; the values are 1, 10, 100 and so on."""
    settings = [
        Setting({key: 10.0**place}, dict(enumerate(some)), number=place + 1,
                status=Status.DONE if some else Status.DIVERGED)
        for place, some in enumerate(losses)
    ]  # fmt: skip
    told = {"command": f"python train.py -m {key}=1,10 sweep.name=rates", "name": "rates", "sampler": "grid"}
    return Answer(Study(settings, "val/loss", "min", {**told, **about}), "outputs/rates")


def at_least(found: list[bool], rate: float) -> bool:
    """Tell whether a share may be that high: not below it by a one-sided test at 0.1 %."""
    return bool(binomtest(sum(found), len(found), rate, "less").pvalue > 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "random", "tpe"])
@pytest.mark.parametrize("options", [{}, {"names": True}, {"failing": 0.1}, {"mode": "max"}], ids=str)
def test_what_is_said_is_so_as_often_as_it_says(kind: str, options: dict[str, Any]) -> None:
    tied, covered, first, claims = [], [], [], []
    for seed in range(5000, 5000 + (SWEEPS if not options or ALL else 2)):
        sweep = simulated(kind, seed, **options)
        contest = Contest(sweep.study)
        tied.append(sweep.study.compared[int(sweep.losses.argmin())] in (contest.tie or []))
        low, high = contest.interval or (0.0, 0.0)
        covered.append(bool(low <= sweep.losses[0] <= high))
        found, names = importance(contest), [f"k{key}" for key in range(sweep.world.keys)] + ["name"]
        assert found
        first.append(names[sweep.world.first] in found.first)
        sides = {f"k{key}": side for key, side in enumerate(sweep.world.edge)}
        claims += [sides[edge.key.name] == (1 if edge.is_top else -1) for edge in edges(contest) if edge.is_falling]
    assert at_least(tied, 0.95) and at_least(covered, 0.93) and at_least(first, 0.97)
    assert not claims or at_least(claims, 0.9)


def test_the_best_is_named_with_its_interval_and_who_ties_with_it() -> None:
    answer = made([1.0, 1.1, 0.9], [1.05, 1.1, 0.95], [3.0, 3.1, 2.9])
    best, tie, *_ = answer.sentences()
    assert best.startswith("Best: optimizer.lr=1, with val/loss 1, the mean of 3 seeds; without its luck ")
    assert tie.startswith("1 other setting of 3 may be as good: optimizer.lr=10 (95 % sure")
    assert answer.next.command == "gridstorm confirm outputs/rates best=2 repeats=5"


def test_one_seed_and_few_settings_tell_nothing_of_a_tie() -> None:
    answer = made([2.0], [1.0], [3.0])
    assert "too few to tell luck from difference" in answer.sentences()[1]
    assert answer.contest.content() == {"tie": None, "interval": None, "noise": None}


def test_scores_that_are_better_when_larger_are_told_as_they_are() -> None:
    settings = [Setting({"a": place}, {0: -0.9 - place / 100, 1: -0.91 - place / 100}) for place in range(3)]
    answer = Answer(Study(settings, "val/accuracy", "max"), "x")
    assert answer.sentences()[0].startswith(
        "Best: a=2, with val/accuracy 0.925, the mean of 2 seeds; without its luck 0."
    )


def test_an_edge_is_a_fact_and_the_next_values_go_beyond_it() -> None:
    [edge] = made([3.0, 3.1], [2.0, 2.1], [1.0, 1.1]).edges
    assert edge.fact == "optimizer.lr is best at 100, the largest value tried."
    assert edge.others == (100.0, 1000.0, 10000.0)


def test_the_next_value_having_failed_is_a_cliff() -> None:
    [edge] = made([3.0, 3.1], [1.0, 1.1], []).edges
    assert edge.fact == "optimizer.lr is best at 10, and all settings with the next value, 100, failed."
    assert edge.others == ()


def test_a_long_list_of_decades_is_no_drawn_interval_and_its_small_values_are_no_edge() -> None:
    rates = [float(f"{10 ** (-4 + 4 * step / 19):.3g}") for step in range(20)]
    settings = [Setting({"optimizer.lr": lr}, {0: 1 + abs(np.log10(lr / 0.0546))}) for lr in rates]
    told: list[dict[str, Any]] = [{"log": [], "drawn": []}, {"log": [], "sampler": "gridstorm.sampler.grid.Grid"}, {}]
    for about in told:
        answer = Answer(Study(settings, "val/loss", "min", about), "x")
        assert answer.study.keys[0].is_log and not answer.edges
        assert len(profile(answer.study, answer.study.keys[0])) == (12 if about == {} else 20)


def test_below_none_there_is_no_edge() -> None:
    settings = [Setting({"model.dropout": share}, {0: share + 1.0, 1: share + 1.01}) for share in (0.0, 0.2, 0.5)]
    assert not Answer(Study(settings, "val/loss", "min"), "x").edges


def test_a_surface_that_falls_at_its_end_gives_the_command_beyond_it() -> None:
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, 30)
    settings = [Setting({"model.width": 0.5 + float(place)}, {0: 2 - float(place) + 0.01 * rng.normal()}, number=n)
                for n, place in enumerate(places)]  # fmt: skip
    about = {"command": "python train.py -m 'model.width=interval(0.5,1.5)' sampler=random", "name": "w",
             "sampler": "gridstorm.sampler.random.Random", "log": [], "drawn": ["model.width"]}  # fmt: skip
    answer = Answer(Study(settings, "val/loss", "min", about), "outputs/w")
    assert answer.edges[0].is_falling and "still getting better" in answer.edges[0].fact
    assert (
        answer.next.command.startswith("python train.py -m model.width=1.5,")
        and "sweep.name=w-2" in answer.next.command
    )


@pytest.mark.parametrize(("key", "told"), [("optimizer.lr", False), ("model.width", True)])
def test_a_setting_is_cheaper_only_where_it_has_less_to_compute(key: str, told: bool) -> None:
    def trained(seconds: float) -> list[Any]:
        result = Result(status=Status.DONE, score=1.0, monitor="val/loss", mode="min", epochs=5, seconds=seconds)
        return [SimpleNamespace(result=result, seed=seed) for seed in range(3)]

    settings = [Setting({key: value}, dict(enumerate(losses)), trained(seconds))
                for value, losses, seconds in ((1, (1.0, 1.1, 0.9), 90.0), (2, (1.1, 0.91, 1.0), 60.0))]  # fmt: skip
    answer = Answer(Study(settings, "val/loss", "min"), "x")
    assert any("cheapest" in sentence for sentence in answer.sentences()) is told


def test_each_value_of_what_is_asked_is_compared_at_its_own_best_and_an_edge_is_told_as_unfair() -> None:
    settings = [
        Setting({"model.depth": depth, "optimizer.lr": lr}, dict.fromkeys((0, 1), abs(np.log10(lr) + depth)))
        for depth in (1, 2, 3) for lr in (1e-3, 1e-2, 1e-1)
    ]  # fmt: skip
    about = {"scientific": ["model.depth"], "nuisance": ["optimizer.lr"]}
    answer = Answer(Study(settings, "val/loss", "min", about), "x")
    assert {one.words: one.nuisance for one in answer.compared} == {
        "model.depth=1": "optimizer.lr=0.1", "model.depth=2": "optimizer.lr=0.01",
        "model.depth=3": "optimizer.lr=0.001",
    }  # fmt: skip
    unfair = [sentence for sentence in answer.sentences() if sentence.startswith("The comparison is unfair to")]
    assert [sentence.split(":")[0] for sentence in unfair] == [
        "The comparison is unfair to model.depth=1", "The comparison is unfair to model.depth=3",
    ]  # fmt: skip


def test_where_settings_fail_is_told_by_the_key_that_tells_it() -> None:
    settings = [
        Setting({"optimizer.lr": lr, "model": name}, {} if lr > 1 else {0: lr}, number=1,
                status=Status.DIVERGED if lr > 1 else Status.DONE)
        for lr in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0) for name in ("cnn", "mlp")
    ]  # fmt: skip
    told = Answer(Study(settings, "val/loss", "min"), "x").sentences()
    assert "8 of 16 settings failed or diverged, 8 of the 8 with optimizer.lr of 2 or more." in told


def test_a_swept_seed_is_no_hyperparameter() -> None:
    settings = [Setting({"a": 1}, {0: 1.0, 1: 1.2, 2: 1.1})]
    answer = Answer(Study(settings, "val/loss", "min"), "x")
    assert answer.contest.interval is not None and not answer.study.keys


def test_nothing_that_ended_is_said_so() -> None:
    assert made([], []).sentences() == ["None of 2 settings came to its end with a score."]
    assert Answer(Study([], "val/loss", "min"), "x").sentences() == ["No trial has begun."]


def test_random_draws_say_what_more_of_them_would_bring() -> None:
    sweep = simulated("random", 1)
    told = [
        sentence for sentence in Answer(sweep.study, "x").sentences() if sentence.startswith("As many trials again")
    ]
    assert told and "50%" in told[0] and "7.2%" in told[0]
    assert not [one for one in Answer(simulated("tpe", 1).study, "x").sentences() if one.startswith("As many")]


def test_a_value_that_always_failed_sets_no_scale_and_a_key_without_another_one_is_no_axis() -> None:
    settings = [
        Setting({"optimizer.lr": lr, "model.width": width, "data": name}, {} if bad else {0: lr, 1: lr + 0.01},
                status=Status.DIVERGED if bad else Status.DONE)
        for lr in (1e-3, 1e-2, 1e-1, 1e25) for width in (8, 8000) for name in ("a", "b", "c")
        if (bad := lr > 1 or width > 8 or name == "b") or True
    ]  # fmt: skip
    study = Study(settings, "val/loss", "min")
    assert [key.name for key in study.keys] == ["optimizer.lr", "model.width", "data"]
    assert {key.name: key.levels for key in study.axes} == {"optimizer.lr": (1e-3, 1e-2, 1e-1), "data": ("a", "c")}
    assert study.axes[0].is_log
    points = study.points(study.compared)
    assert sorted({*points.numbers[:, 0]}) == pytest.approx([0, 0.5, 1]) and {*points.names[:, 0]} == {0, 1}


def test_a_value_of_0_that_always_failed_is_drawn_beside_values_that_count_by_their_logarithms() -> None:
    settings = [
        Setting({"optimizer.weight_decay": decay}, {0: decay + 1} if decay else {}, number=place,
                status=Status.DONE if decay else Status.DIVERGED)
        for place, decay in enumerate((0.0, 1e-4, 1e-3, 1e-2))
    ]  # fmt: skip
    answer = Answer(Study(settings, "val/loss", "min"), "x")
    assert not answer.study.keys[0].is_log and answer.sentences() and answer.edges is not None


def test_axes_are_in_the_order_of_points_whatever_failed() -> None:
    settings = [
        Setting({"model": name, "trainer.gradient_clip_val": clip, "optimizer.lr": lr}, {} if clip is None else {0: lr},
                status=Status.DIVERGED if clip is None else Status.DONE)
        for name in ("a", "b") for clip in (None, 0.5, 1.0) for lr in (0.1, 0.2)
    ]  # fmt: skip
    study = Study(settings, "val/loss", "min")
    assert [axis.name for axis in study.axes] == ["optimizer.lr", "trainer.gradient_clip_val", "model"]
    assert study.points(study.compared).numbers.shape == (8, 2)
