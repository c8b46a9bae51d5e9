"""What the directory of a sweep says."""

import json
import time
from pathlib import Path

import pytest

from conftest import Compose
from gridstorm.error import UserError
from gridstorm.record.file import hold
from gridstorm.record.run import RunRecord
from gridstorm.record.sweep import SweepRecord, create, read, state, write_manifest
from gridstorm.record.trial import Trial, TrialRun


@pytest.fixture
def trials(composed: Compose) -> list[Trial]:
    """Three configurations with two seeds each."""
    return [
        Trial({"optimizer.lr": lr}, [TrialRun(composed(f"optimizer.lr={lr}", f"seed={seed}"), seed) for seed in (0, 1)])
        for lr in (0.1, 0.01, 0.001)
    ]


def finish(record: RunRecord, status: str = "done", score: float = 0.5, **more: object) -> None:
    """Write a run's result as its process would."""
    told = {"status": status, "score": score, "monitor": "val/loss", "mode": "min", **more}
    (record.directory / "result.json").write_text(json.dumps(told))


def made(directory: Path, trials: list[Trial]) -> None:
    """Make the directories of all runs."""
    for number, trial in enumerate(trials, 1):
        trial.number = number
        for run in trial.runs:
            run.record = create(directory, trial, run, 2)


def test_runs_are_found_again_by_signature_and_numbers_go_on(tmp_path: Path, trials: list[Trial]) -> None:
    made(tmp_path, trials[:2])
    assert trials[0].runs[1].record is not None
    finish(trials[0].runs[1].record)
    history = SweepRecord(tmp_path, "val/loss", "min")
    fresh = [Trial(trial.point, [TrialRun(run.config, run.seed) for run in trial.runs]) for trial in reversed(trials)]
    history.adopt(fresh)
    history.number(fresh)
    history.close()
    assert [trial.number for trial in fresh] == [3, 2, 1]
    assert [run.status for run in fresh[2].runs] == ["waiting", "done"]
    assert fresh[1].runs[0].record is not None
    assert fresh[1].runs[0].record.directory.name == "02-lr=0.01,s=0"


def test_a_run_that_is_over_counts_more_than_a_later_one_that_is_not(tmp_path: Path, trials: list[Trial]) -> None:
    made(tmp_path, trials[:1])
    first = trials[0].runs[0].record
    assert first is not None
    finish(first)
    trials[0].number = 7
    create(tmp_path, trials[0], trials[0].runs[0], 2)
    history = SweepRecord(tmp_path, "val/loss", "min")
    history.adopt(trials[:1])
    history.close()
    assert trials[0].runs[0].record is not None
    assert trials[0].runs[0].record.directory == first.directory


def test_the_directory_belongs_to_one_sweep_at_a_time(tmp_path: Path) -> None:
    history = SweepRecord(tmp_path, "val/loss", "min")
    with pytest.raises(UserError, match="Another sweep is at work in this directory"):
        SweepRecord(tmp_path, "val/loss", "min")
    history.close()
    SweepRecord(tmp_path, "val/loss", "min").close()


def test_what_a_killed_sweep_left_half_made_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".gridstorm-trial-0123456789abcdef" / "checkpoints").mkdir(parents=True)
    (tmp_path / ".gridstorm-sweep.json.4711").touch()
    SweepRecord(tmp_path, "val/loss", "min").close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [".lock", "sweep.json"]


def test_the_first_line_counts_runs_and_names_why_some_failed(tmp_path: Path, trials: list[Trial]) -> None:
    made(tmp_path, trials)
    runs = [run for trial in trials for run in trial.runs]
    for run, status in zip(runs, ("done", "done", "failed", "diverged", "pruned"), strict=False):
        assert run.record is not None
        finish(run.record, status, error="timeout: it took longer than 8s" if status == "failed" else None)
        run.refresh()
    assert state(trials, 6) == "6 runs: 2 done, 1 pruned, 1 diverged, 1 failed (timeout), 1 to go"


def test_the_manifest_is_written_whole(tmp_path: Path, trials: list[Trial]) -> None:
    made(tmp_path, trials)
    write_manifest(tmp_path, trials, {"name": "grid", "total": 6})
    told = json.loads((tmp_path / "sweep.json").read_text())
    assert told["name"] == "grid"
    assert [len(trial["runs"]) for trial in told["trials"]] == [2, 2, 2]
    assert told["trials"][0]["status"] == "waiting"
    assert not list(tmp_path.glob(".sweep*"))


def test_a_lock_waits_for_the_other_process_as_long_as_asked(tmp_path: Path) -> None:
    held = hold(tmp_path / ".lock")
    started = time.monotonic()
    assert hold(tmp_path / ".lock", seconds=0.1) is None
    assert time.monotonic() - started >= 0.1
    assert held is not None
    held.close()


def test_other_folders_beside_the_runs_are_left_alone(tmp_path: Path, trials: list[Trial]) -> None:
    made(tmp_path, trials[:1])
    (tmp_path / "notes").mkdir()
    assert len(read(tmp_path)) == 2
