"""Sweeps that draw their configurations, and sweeps that cut runs short, from the command to the directories."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Sweep, Swept, result, rows
from gridstorm.record.run import RunRecord

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
SPACE = (
    "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    "model.depth=int(interval(0,2))",
    "data.batch_size=16,32,64",
    "model.activation=relu,tanh",
)
SAMPLERS = {
    "random": (),
    "sobol": (),
    "tpe": ("sampler.n_startup_trials=3",),
    "gp": ("sampler.n_startup_trials=3",),
    "cmaes": (),
}


def trials(done: Swept) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return name, result and curve of each run, but for what the clock decides."""
    return [
        (run.name, {key: value for key, value in result(run).items() if key != "seconds"}, rows(run)[-1])
        for run in done.runs
    ]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_plans_the_same_again_goes_on_as_if_undisturbed_and_keeps_to_its_bounds(
    sweep: Sweep, sampler: str
) -> None:
    told = (*SPACE, *SHORT, f"sampler={sampler}", *SAMPLERS[sampler])
    whole = sweep(*told, "sweep.n_trials=7", name="whole")
    assert whole.status == 0, whole.err
    again = sweep(*told, "sweep.n_trials=7", name="again")
    assert trials(again) == trials(whole)
    sweep(*told, "sweep.n_trials=4", name="cut")
    cut = whole.directory.parent / "cut"
    (sorted(cut.glob("[0-9]*"))[-1] / "result.json").unlink()  # as a kill would leave it
    resumed = sweep(*told, "sweep.n_trials=7", name="cut")
    assert resumed.first.startswith("7 runs: 3 done, 1 interrupted, 3 to go")
    assert trials(resumed) == trials(whole)
    configs = [RunRecord(run).config.values for run in whole.runs]
    assert len({result(run)["signature"] for run in whole.runs}) == 7
    assert all(1e-4 <= config["optimizer"]["lr"] <= 1e-1 for config in configs)
    assert {config["model"]["depth"] for config in configs} <= {0, 1, 2}
    assert {config["data"]["batch_size"] for config in configs} <= {16, 32, 64}


def test_another_seed_draws_another_plan(sweep: Sweep) -> None:
    one, two = (
        sweep(*SPACE, *SHORT, "sampler=random", "sweep.n_trials=3", f"sweep.seed={n}", name=f"s{n}") for n in (0, 1)
    )
    assert [run.name for run in one.runs] != [run.name for run in two.runs]


def test_more_sobol_trials_keep_the_first_ones(sweep: Sweep) -> None:
    few = sweep(*SPACE, *SHORT, "sampler=sobol", "sweep.n_trials=3")
    before = [run.name for run in few.runs]
    many = sweep(*SPACE, *SHORT, "sampler=sobol", "sweep.n_trials=6")
    assert many.first.startswith("6 runs: 3 done, 3 to go")
    assert [run.name for run in many.runs][:3] == before


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_small_space_ends_when_all_of_it_is_trained(sweep: Sweep, sampler: str) -> None:
    done = sweep("model.depth=0,1", "model.activation=relu,tanh", *SHORT, f"sampler={sampler}", "sweep.n_trials=9")
    assert done.status == 0, done.err
    assert len(done.runs) == 4
    assert len({result(run)["signature"] for run in done.runs}) == 4


def test_a_sampler_starts_from_another_sweeps_results(sweep: Sweep, tmp_path: Path) -> None:
    sweep("optimizer.lr=1e-4,1e-3,1e-2,1e-1", *SHORT, name="before")
    told = ("optimizer.lr=tag(log,interval(1e-4,1e-1))", *SHORT, "sampler=tpe", "sampler.n_startup_trials=4")
    started = sweep(*told, f"sweep.from={tmp_path / 'before'}", "sweep.n_trials=2", name="started")
    assert started.status == 0, started.err
    assert len(started.runs) == 2
    fresh = sweep(*told, "sweep.n_trials=2", name="fresh")
    assert [run.name for run in started.runs] != [run.name for run in fresh.runs]
    resumed = sweep(*told, f"sweep.from={tmp_path / 'before'}", "sweep.n_trials=3", name="started")
    assert resumed.first.startswith("3 runs: 2 done, 1 to go")


def test_a_directory_that_has_nothing_in_this_space_is_no_start(sweep: Sweep, tmp_path: Path) -> None:
    sweep("model.width=8,16", *SHORT, name="before")
    told = ("optimizer.lr=interval(0.1,0.2)", *SHORT, "sampler=tpe", f"sweep.from={tmp_path / 'before'}")
    done = sweep(*told, name="started")
    assert done.status == 2
    assert "None of its 2 finished runs lies in this space" in done.err


HALVED = ("optimizer.lr=1e-5,1e-4,1e-3,1e-2,1e-1,1", "trainer.max_epochs=6", "trainer.limit_train_batches=8")


def test_asha_pauses_runs_goes_on_with_the_best_and_leaves_the_others_resumable(sweep: Sweep) -> None:
    done = sweep(*HALVED, "pruner=asha")
    assert done.status == 0, done.err
    epochs = {run.name: result(run)["epochs"] for run in done.runs}
    states = {run.name: result(run)["status"] for run in done.runs}
    assert sorted(epochs.values())[:4] == [2, 2, 2, 2]
    assert [states[name] for name, spent in epochs.items() if spent == 6] == ["done"] * sum(
        spent == 6 for spent in epochs.values()
    )
    paused = next(run for run in done.runs if states[run.name] == "pruned")
    assert RunRecord(paused).last_checkpoint is not None
    again = sweep(*HALVED, "pruner=asha")
    assert "0 to go" in again.first
    assert {run.name: result(run)["epochs"] for run in again.runs} == epochs
    whole = sweep(*HALVED, name="whole")
    finished = sweep(*HALVED)  # without a pruner
    assert "pruned" in finished.first
    assert [rows(run) for run in finished.runs] == [
        rows(next(other for other in whole.runs if other.name[2:] == run.name[2:])) for run in finished.runs
    ]


@pytest.mark.parametrize("pruner", ["median", "hyperband", "patience"])
def test_other_rules_cut_runs_short_too(sweep: Sweep, pruner: str) -> None:
    grid = ("optimizer.lr=1e-2,1e-3,1e-4,1e-5,1e-6,1e-7", "trainer.max_epochs=12", f"pruner={pruner}")
    told = {"median": ("pruner.n_startup_trials=1", "pruner.n_warmup_steps=1"), "patience": ("pruner.patience=1",)}
    done = sweep(*grid, *told.get(pruner, ()), "trainer.limit_train_batches=20")
    assert done.status == 0, done.err
    states = [result(run)["status"] for run in done.runs]
    assert set(states) <= {"done", "pruned"}
    assert sum(result(run)["epochs"] for run in done.runs) <= 72
    manifest = json.loads((done.directory / "sweep.json").read_text())
    assert sorted(trial["status"] for trial in manifest["trials"]) == sorted(states)


def test_seeds_of_a_configuration_that_is_cut_short_are_not_trained(sweep: Sweep) -> None:
    done = sweep(*HALVED, "pruner=asha", "sweep.repeats=2")
    assert done.status == 0, done.err
    trained = {run.name for run in done.runs}
    for run in done.runs:
        if run.name.endswith("s=0"):
            other = run.name.replace("s=0", "s=1")
            assert (other in trained) == (result(run)["status"] == "done"), run.name


def test_a_first_run_that_diverges_under_a_pruner_is_trained_once_and_the_sweep_ends(sweep: Sweep) -> None:
    given = ("optimizer=sgd", "optimizer.lr=0.01,1e25", "trainer.max_epochs=2", "sweep.repeats=2", "pruner=median")
    done = sweep(*given, "trainer.limit_train_batches=20")
    assert sorted(result(run)["status"] for run in done.runs) == ["diverged", "diverged", "done", "done"]
