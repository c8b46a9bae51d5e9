"""Which runs of a sweep are trained together, and that nothing but the time tells."""

from collections.abc import Sequence
from typing import Any

import pytest

from conftest import Compose, Sweep, Swept, result, rows
from gridstorm.config.recipe import RunConfig
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.sweeper.grouping import Fusing

LONG = "trainer.max_epochs=40"


def runs(composed: Compose, *cells: tuple[str, ...]) -> list[TrialRun]:
    return [TrialRun(composed(LONG, *cell), 0) for cell in cells]


def looked(
    found: list[TrialRun], setting: str | int = "auto", gain: float = 3.0, why: str | None = None, free: float = 1e9
) -> Fusing:
    """Return what is found out, where every group gains so much, or cannot be stacked for a reason."""

    def tried(groups: Sequence[list[RunConfig]], measured: bool) -> list[Any]:
        assert measured == (setting == "auto")
        return [{"why": why, "gain": gain, "bytes": 1e6, "free": free} for _ in groups]

    fusing = Fusing(setting)
    fusing.look(found, 2, tried)
    return fusing


def grouped(fusing: Fusing, found: list[TrialRun], places: int = 2) -> list[list[int]]:
    """Return the numbers of the runs of one job after another, where each place is free again before the next."""
    waiting, jobs = [(Trial({}, [run]), run) for run in found], list[list[int]]()
    numbers = {id(run): number for number, run in enumerate(found)}
    while group := fusing.group(waiting, places, sum(map(len, jobs[len(jobs) - places + 1 :]))):
        waiting = [one for one in waiting if one not in group]
        jobs.append([numbers[id(run)] for _, run in group])
    return jobs


def test_runs_that_differ_in_numbers_alone_are_one_group_and_every_place_has_work(composed: Compose) -> None:
    found = runs(composed, *((f"optimizer.lr={0.1 / n}", f"model.dropout={0.1 / n}", f"seed={n}") for n in range(1, 9)))
    assert grouped(looked(found), found) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert grouped(looked(found, setting=3), found) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert grouped(looked(found), found, places=1) == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert grouped(looked(found, setting=3), found, places=1) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_what_changes_a_shape_or_the_order_of_work_makes_groups_of_their_own(composed: Compose) -> None:
    cells: list[tuple[str, ...]] = [
        (f"optimizer.lr={lr}", width) for width in ("model.width=8", "model.width=16") for lr in (0.1, 0.2, 0.3)
    ]
    cells += [("optimizer.lr=0.1", "data.batch_size=32"), ("optimizer=sgd",)]
    found = runs(composed, *cells)
    assert grouped(looked(found), found, places=1) == [[0, 1, 2], [3, 4, 5], [6], [7]]


@pytest.mark.parametrize(
    ("told", "words"),
    [({"gain": 1.1}, "measured not to pay (1.1 times)"), ({"why": "its pass cannot be stacked"}, "cannot be stacked")],
)
def test_what_does_not_pay_or_cannot_be_stacked_is_trained_apart_and_the_plan_says_why(
    composed: Compose, told: dict[str, Any], words: str
) -> None:
    found = runs(composed, *((f"optimizer.lr={lr}",) for lr in (0.1, 0.2, 0.3)))
    fusing = looked(found, **told)
    assert grouped(fusing, found) == [[0], [1], [2]]
    assert words in str(fusing)
    assert "trained apart, 3" in str(fusing)


def test_few_and_short_runs_are_not_measured(composed: Compose) -> None:
    found = [TrialRun(composed("trainer.max_epochs=2", f"optimizer.lr={lr}"), 0) for lr in (0.1, 0.2)]
    assert grouped(looked(found), found) == [[0], [1]]
    assert "too short to be worth measuring" in str(looked(found))


def test_memory_limits_a_group(composed: Compose) -> None:
    found = runs(composed, *((f"optimizer.lr={lr}",) for lr in (0.1, 0.2, 0.3, 0.4)))
    assert grouped(looked(found, free=8e6), found, places=1) == [[0, 1], [2, 3]]
    assert grouped(looked(found, setting=3, free=8e6), found, places=1) == [[0, 1], [2, 3]]


DOUBLE = "trainer.precision=64-true"


def compared(fused: Swept, apart: Swept) -> None:
    """Two sweeps leave the same, but for rounding."""
    assert [run.name for run in fused.runs] == [run.name for run in apart.runs]
    assert all("64-true" in (run / "config.yaml").read_text() for run in fused.runs)
    for one, two in zip(fused.runs, apart.runs, strict=True):
        first, second = result(one), result(two)
        assert {key: first[key] for key in ("status", "best_epoch", "epochs", "signature", "parameters")} == {
            key: second[key] for key in ("status", "best_epoch", "epochs", "signature", "parameters")
        }
        assert [row["step"] for row in rows(one)] == [row["step"] for row in rows(two)]
        if first["score"] is not None:
            assert first["score"] == pytest.approx(second["score"], rel=1e-9)
        assert {file.name.split(".")[0] for file in one.iterdir()} == {
            file.name.split(".")[0] for file in two.iterdir()
        }


GRID = ("optimizer.lr=1e-4,1e-3,3e-3", "seed=0,1", "model.dropout=0.1", "trainer.max_epochs=3", DOUBLE)


def test_a_fused_sweep_leaves_what_one_leaves_whose_runs_are_trained_apart(sweep: Sweep) -> None:
    fused = sweep(*GRID, "sweep.fuse=6", name="fused")
    assert fused.status == 0, fused.err
    compared(fused, sweep(*GRID, "sweep.fuse=off", name="apart"))


def test_a_run_that_diverges_leaves_the_others_alone(sweep: Sweep) -> None:
    grid = ("optimizer=sgd", "optimizer.lr=0.01,1e100,0.02", "trainer.max_epochs=3", DOUBLE)
    fused = sweep(*grid, "sweep.fuse=3", name="fused")
    assert fused.status == 1
    assert [result(run)["status"] for run in fused.runs] == ["done", "diverged", "done"]
    compared(fused, sweep(*grid, "sweep.fuse=off", name="apart"))


def test_a_group_under_asha_pauses_and_its_best_go_on(sweep: Sweep) -> None:
    grid = ("optimizer.lr=1e-5,1e-4,1e-3,1e-2,1e-1,1", "trainer.max_epochs=6", "pruner=asha")
    fused = sweep(*grid, "sweep.fuse=6", name="fused")
    assert fused.status == 0, fused.err
    epochs = sorted(result(run)["epochs"] for run in fused.runs)
    assert epochs[:4] == [2, 2, 2, 2]
    assert epochs[-1] == 6


def test_a_learning_sampler_is_asked_for_as_many_as_are_fused(sweep: Sweep) -> None:
    drawn = ("optimizer.lr=tag(log,interval(1e-4,1e-1))", "sampler=tpe", "sweep.n_trials=5", "trainer.max_epochs=1")
    done = sweep(*drawn, "sweep.fuse=3")
    assert done.status == 0, done.err
    assert len(done.runs) == 5


def test_a_dry_run_says_what_is_fused_and_what_is_not(sweep: Sweep) -> None:
    plan = sweep("optimizer.lr=range(0.001,0.009,0.001)", "model=mlp,linear", LONG, "sweep.dry_run=true")
    assert plan.status == 0, plan.err
    assert "trained together, at most" in plan.out or "measured not to pay" in plan.out
