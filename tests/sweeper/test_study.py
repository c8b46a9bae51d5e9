"""Every sampler keeps to its space and goes on after a restart as if there had been none; pruners cut what is bad."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gridstorm.command.space import Axis
from gridstorm.config.value import Point
from gridstorm.error import UserError
from gridstorm.sweeper.study import Study, legible

CONF = Path(__file__).parents[2] / "conf"
SAMPLERS = ["random", "sobol", "tpe", "gp", "cmaes"]
LR = Axis(("optimizer.lr",), low=1e-4, high=1e-1, log=True)
DROPOUT = Axis(("model.dropout",), low=0.0, high=0.5)
WIDTH = Axis(("model.width",), low=8, high=256, log=True, whole=True)
BATCH = Axis(("data.batch_size",), ((16,), (64,), (256,)))
OPTIMIZER = Axis(("optimizer",), (("sgd",), ("adam",)))
MOMENTUM = Axis(("optimizer.momentum",), low=0.5, high=0.99, condition=("optimizer", "sgd"))
SHAPE = Axis(("model.depth", "model.activation"), ((1, "relu"), (2, "tanh"), (3, "relu")))
SPACE = [MOMENTUM, LR, DROPOUT, WIDTH, BATCH, OPTIMIZER, SHAPE]
PLANE = [Axis(("x",), low=-1.0, high=1.0), Axis(("y",), low=-1.0, high=1.0)]


def node(family: str, name: str, **changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CONF / family / f"{name}.yaml").read_text()), **changes}


def search(sampler: str = "random", axes: list[Axis] = SPACE, pruner: str = "none", **given: Any) -> Study:
    """Return a search as the files in conf/ make it; `changes` are those to the sampler's, the rest is Search's own."""
    chosen = node("sampler", sampler, **given.pop("changes", {}))
    rest: dict[str, Any] = {"mode": "min", "seed": 1, "max_epochs": 9, "choices": {}} | given
    return Study(axes, sampler=chosen, pruner=node("pruner", pruner), **rest)


def early(sampler: str) -> dict[str, Any]:
    # so that a sampler uses what it knows after few trials
    return {"n_startup_trials": 3} if sampler in ("tpe", "gp") else {}


class KnownRun(NamedTuple):
    number: int
    point: Point
    attrs: dict[str, Any]
    state: str
    score: float | None
    curve: list[tuple[int, float | None]]


def fate(number: int, point: Point) -> tuple[str, float | None, list[tuple[int, float | None]]]:
    """Return how a trial ends, each way once in a while."""
    score = abs(math.log10(point["optimizer.lr"]) + 2.5) + point["model.dropout"] + 0.1 * point["model.depth"]
    curve: list[tuple[int, float | None]] = [(epoch, score + 1 / epoch) for epoch in range(1, 5)]
    kind = {2: "skipped", 4: "diverged", 5: "running", 6: "pruned", 7: "failed"}.get(number % 9, "done")
    if kind == "diverged":
        return kind, None, [*curve[:2], (3, math.nan)]
    return kind, score if kind == "done" else None, [] if kind in ("skipped", "failed") else curve


def live(one: Study) -> KnownRun:
    number, point, attrs = one.propose()
    state, score, curve = fate(number, point)
    for epoch, value in curve:
        one.report(number, epoch, value)
    if state != "running":
        one.conclude(number, state, score)
    return KnownRun(number, dict(point), attrs, state, score, curve)


@pytest.mark.parametrize("pruner", ["none", "hyperband"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_study_rebuilt_from_any_prefix_goes_on_as_the_undisturbed_one(sampler: str, pruner: str) -> None:
    undisturbed = search(sampler, pruner=pruner, changes=early(sampler))
    known = [live(undisturbed) for _ in range(10 if sampler == "gp" else 30)]
    for length in range(0, len(known), 3 if sampler == "gp" else 1):
        rebuilt = search(sampler, pruner=pruner, changes=early(sampler))
        for trial in known[:length]:
            if trial.state != "skipped":
                rebuilt.recall(*trial)
        if known[length - 1].state == "skipped":  # nothing was left of it: it is asked, and skipped, again
            assert length == 0 or live(rebuilt)[:3] == known[length - 1][:3]
        assert rebuilt.propose() == known[length][:3]


@pytest.mark.parametrize("pruner", ["hyperband", "median"])
def test_a_rebuilt_study_cuts_short_what_the_undisturbed_one_does(pruner: str) -> None:
    undisturbed, rebuilt = search(pruner=pruner), search(pruner=pruner)
    known = [live(undisturbed) for _ in range(27)]
    for trial in known:
        rebuilt.recall(*trial)
    verdicts = set()
    for score in (0.0, 0.5, 1.0, 1.5, 2.0, 4.0):
        numbers = [one.place({"data.batch_size": 16}) for one in (undisturbed, rebuilt)]
        answers = [[one.report(numbers[0], epoch, score) for epoch in (1, 2, 4)] for one in (undisturbed, rebuilt)]
        assert numbers[0] == numbers[1] and answers[0] == answers[1]
        verdicts.add(any(answers[0]))
    assert verdicts == {True, False}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_makes_the_same_plan_and_another_seed_another(sampler: str) -> None:
    one, same, other = (search(sampler, seed=seed, changes=early(sampler)) for seed in (3, 3, 4))
    plans = [[live(each).point for _ in range(8)] for each in (one, same, other)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_keeps_to_the_bounds_and_types_as_written(sampler: str) -> None:
    one = search(sampler, changes=early(sampler))
    for point in (live(one).point for _ in range(15 if sampler == "gp" else 150)):
        assert 1e-4 <= point["optimizer.lr"] <= 1e-1 and type(point["optimizer.lr"]) is float
        assert 0 <= point["model.dropout"] <= 0.5
        assert 8 <= point["model.width"] <= 256 and type(point["model.width"]) is int
        assert point["data.batch_size"] in (16, 64, 256) and type(point["data.batch_size"]) is int
        assert (point["model.depth"], point["model.activation"]) in SHAPE.points
        assert ("optimizer.momentum" in point) == (point["optimizer"] == "sgd")
        assert 0.5 <= point.get("optimizer.momentum", 0.5) <= 0.99


def test_random_and_sobol_depend_on_no_result() -> None:
    for sampler in SAMPLERS:
        assert search(sampler).upfront == (sampler in ("random", "sobol"))
    for sampler in ("random", "sobol"):
        silent, told = search(sampler), search(sampler)
        assert [silent.propose()[1] for _ in range(20)] == [live(told).point for _ in range(20)]


def test_a_condition_can_be_met_by_what_is_chosen_anyway() -> None:
    one = search("sobol", [LR, MOMENTUM], choices={"optimizer": "sgd"})
    assert list(one.propose()[1]) == ["optimizer.lr", "optimizer.momentum"]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_search_that_learns_finds_better_than_random(sampler: str, mode: str) -> None:
    sign = 1 if mode == "min" else -1

    def best(name: str, seed: int) -> float:
        one = search(name, PLANE, mode=mode, seed=seed)
        scores: list[float] = []
        for _ in range(20 if sampler == "gp" else 60):
            number, point, _ = one.propose()
            scores.append((point["x"] - 0.4) ** 2 + (point["y"] + 0.3) ** 2)
            one.conclude(number, "done", sign * scores[-1])
        return min(scores)

    seeds = range(1 if sampler == "gp" else 4)
    assert sum(best(sampler, seed) for seed in seeds) < 0.5 * sum(best("random", seed) for seed in seeds)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_search_keeps_away_from_where_runs_diverge(sampler: str) -> None:
    one = search(sampler, PLANE)
    points = []
    for _ in range(20 if sampler == "gp" else 60):
        number, point, _ = one.propose()
        points.append(point)
        one.conclude(number, "diverged" if point["x"] > 0 else "done", point["y"] ** 2)
    late = points[len(points) // 2 :]
    assert sum(point["x"] > 0 for point in late) < 0.4 * len(late)


def test_a_sampler_that_proposes_what_is_known_again_and_again_is_helped_out() -> None:
    one = search("gp", [BATCH, Axis(("model.depth",), ((1,), (2,), (3,), (4,)))], changes=early("gp"))
    seen: set[str] = set()
    for _ in range(60):
        number, point, _ = one.propose()
        one.conclude(number, "skipped" if str(point) in seen else "done", 1.0 / point["data.batch_size"])
        seen.add(str(point))
    assert len(seen) == 12


def test_cmaes_refuses_a_space_without_order_and_names_the_remedy() -> None:
    with pytest.raises(UserError, match=r"only optimizer\.lr is one\. Choose sampler=tpe\."):
        search("cmaes", [LR, OPTIMIZER])
    with pytest.raises(UserError, match="optimizer has none"):
        search("cmaes", [OPTIMIZER])


def test_a_sampler_whose_state_is_a_pickle_is_refused() -> None:
    with pytest.raises(UserError, match="Choose sampler=cmaes"):
        search(changes={"_target_": "optuna.samplers.CmaEsSampler"})


def test_a_trial_that_lies_outside_the_space_or_comes_from_another_sweep_does_no_harm() -> None:
    for sampler in SAMPLERS:
        one = search(sampler, changes=early(sampler))
        one.recall(0, {"optimizer.lr": 5.0, "optimizer": "rmsprop", "else": [1]}, {}, "done", 0.5, [(1, 0.7)])
        for number in range(1, 5):
            one.recall(number, {"optimizer.lr": 0.01, "model.width": 16}, {"pickle": "80"}, "done", 0.5, [])
        assert one.propose()[0] == 5


def test_trials_are_recalled_in_order() -> None:
    one = search()
    one.recall(3, {}, {}, "failed", None, [])
    with pytest.raises(ValueError, match="Trial 2 is recalled after trial 3"):
        one.recall(2, {}, {}, "done", 1.0, [])


def curves(pruner: str, mode: str = "min") -> Callable[[Callable[[int], float | None]], bool]:
    """Return what tells whether a curve is cut short after 20 others, some good and some bad."""
    sign = 1 if mode == "min" else -1
    one = Study([BATCH], {}, None, node("pruner", pruner), mode=mode, seed=0, max_epochs=9)

    def cut(curve: Callable[[int], float | None]) -> bool:
        number = one.place({"data.batch_size": 64})
        for epoch in range(1, 10):
            score = curve(epoch)
            if one.report(number, epoch, None if score is None else sign * score):
                one.conclude(number, "pruned")
                return True
        one.conclude(number, "done", None if score is None else sign * score)
        return False

    for index in range(20):
        cut(lambda epoch, index=index: 1 + (7 * index) % 20 / 20 + 1 / epoch)  # type: ignore[misc]
    return cut


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("pruner", ["hyperband", "median", "patience"])
def test_a_pruner_cuts_a_bad_run_short_and_keeps_a_good_one(pruner: str, mode: str) -> None:
    cut = curves(pruner, mode)
    for _ in range(3):
        assert not cut(lambda epoch: 0.5 / epoch)
    assert any(cut(lambda epoch: 5.0 + epoch / 9) for _ in range(3))


def test_without_a_pruner_nothing_is_cut_short() -> None:
    assert not curves("none")(lambda epoch: 1e9)


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
@pytest.mark.parametrize("pruner", ["none", "hyperband", "median", "patience"])
def test_a_score_that_is_no_number_breaks_nothing(pruner: str, score: float | None) -> None:
    cut = curves(pruner)
    cut(lambda epoch: score)
    assert not cut(lambda epoch: 0.5 / epoch)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_whose_runs_all_diverge_or_have_no_score_goes_on(sampler: str) -> None:
    one = search(sampler, changes=early(sampler))
    for state, score in [("diverged", None), ("done", math.nan), ("done", None), ("pruned", None), ("done", math.inf)]:
        number, _, _ = one.propose()
        one.report(number, 1, score)
        one.conclude(number, state, score)
    assert one.propose()[0] == 5


def test_drawn_numbers_are_legible_and_stay_inside() -> None:
    assert legible(0.0123456789, LR) == 0.01235
    assert legible(0.123456789, DROPOUT) == 0.1235
    narrow = Axis(("x",), low=0.99900001, high=0.99900002)
    assert narrow.low < legible(0.999000013456, narrow) < narrow.high
    odd = Axis(("x",), low=0.0123444, high=0.9, log=True)
    assert legible(0.0123445, odd) == 0.0123444


def test_two_searches_in_one_process_leave_optunas_voice_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    live(search("tpe"))
    assert optuna.logging.get_verbosity() == before
