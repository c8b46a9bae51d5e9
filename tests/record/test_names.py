"""Names of runs and sweeps stay inside output_dir, and nothing is deleted or overwritten that is not ours."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, Sweep
from gridstorm.config.limit import LONGEST, component, misnamed
from gridstorm.error import UserError
from gridstorm.record.file import hold, write_whole
from gridstorm.record.run import RunRecord
from gridstorm.record.sweep import SweepRecord

SHORT = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
WRONG = ("..", ".", "", "/tmp/elsewhere", "a/b", "../a", ".git", "a\nb", "a\x00b", "x" * (LONGEST + 1), "\x1b[2Ja", " ")
NAMES = ("a", "grid-2", "lr=0.1,width=3", "größe", "a b", "x" * LONGEST)


def planted(directory: Path) -> dict[Path, bytes]:
    """Fill a directory with what a clone holds, hidden and not; return these files."""
    names = (".git/HEAD", ".venv/bin/python", ".env", "notes.txt", ".0123456789abcdef/x", ".sweep.json.4711")
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    return {directory / name: name.encode() for name in names}


def state(directory: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_the_name_of_one_directory_is_no_name(name: str) -> None:
    assert misnamed("name", name)
    shown = component(name)
    assert not misnamed("name", shown) or not shown.strip(" .")


@pytest.mark.parametrize("name", NAMES)
def test_any_other_name_stays_as_it_is(name: str) -> None:
    assert misnamed("name", name) is None
    assert component(name) == name


@pytest.mark.parametrize("name", [".", "..", "/tmp/elsewhere", "a/b", ".git"])
def test_the_name_of_a_run_or_of_a_sweep_leads_nowhere_else(command: Command, tmp_path: Path, name: str) -> None:
    before = planted(tmp_path)
    for line in (["-m", "optimizer.lr=0.01,0.1", f"sweep.name={name}"], [f"name={name}"]):
        status, _, err = command("output_dir=.", *line, *SHORT)
        assert status == 2
        assert "name" in err
    assert state(tmp_path) == before


def test_a_clone_is_no_directory_for_a_sweep(command: Command, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    before = planted(clone)
    grid = ("-m", "optimizer.lr=0.01,0.1", "launcher=in_process", *SHORT)
    status, _, err = command(*grid, f"output_dir={tmp_path}", "sweep.name=clone")
    assert status == 2
    assert f"{clone}: The directory is no sweep's, and holds other things, such as" in err
    assert state(clone) == before


def test_a_sweep_leaves_alone_whatever_else_lies_in_its_directory(sweep: Sweep, tmp_path: Path) -> None:
    grid = ("optimizer.lr=0.01,0.1", *SHORT)
    done = sweep(*grid)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data.csv").write_text("1")
    (done.directory / ".link").symlink_to(tmp_path / "precious")
    (done.directory / ".gridstorm-trial-link").symlink_to(tmp_path / "precious")
    others = planted(done.directory)
    for name in ("events.out.tfevents.1700000000.host.1.0", ".mine.1"):
        others[done.runs[0] / name] = b"mine"
        (done.runs[0] / name).write_bytes(b"mine")
    (done.runs[0] / "result.json").unlink()
    again = sweep(*grid, "optimizer.lr=0.01,0.1,1")
    assert again.status == 0, again.err
    assert others.items() <= state(done.directory).items()
    assert (tmp_path / "precious" / "data.csv").read_text() == "1"


def test_what_a_killed_process_left_is_taken_away_by_whoever_goes_on(sweep: Sweep) -> None:
    grid = ("optimizer.lr=0.01,0.1", *SHORT)
    done = sweep(*grid)
    left = [
        done.directory / ".gridstorm-trial-0123" / "config.yaml",
        done.directory / ".gridstorm-results.csv.4711",
        done.runs[0] / ".gridstorm-result.json.4711",
        done.runs[0] / "checkpoints" / ".gridstorm-last.4711",
    ]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (done.runs[0] / "result.json").unlink()
    assert sweep(*grid).status == 0
    assert not [file for file in left if file.exists()]


def test_a_directory_that_was_made_for_a_sweep_and_holds_nothing_yet_is_one(tmp_path: Path) -> None:
    for names in ((), (".lock",), (".lock", ".gridstorm-trial-01")):
        directory = tmp_path / f"{len(names)}"
        directory.mkdir()
        for name in names:
            (directory / name).mkdir() if "trial" in name else (directory / name).touch()
        SweepRecord(directory, "val/loss", "min").close()
        assert json.loads((directory / "sweep.json").read_text())["trials"] == []


def test_a_link_in_a_record_is_never_written_through(command: Command, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert command("name=first", "output_dir=runs", "trainer.max_epochs=1")[0] == 0
    for name in ("checkpoints", "metrics.jsonl", ".lock", "checkpoints/last.ckpt"):
        shutil.rmtree(tmp_path / "runs" / "second", ignore_errors=True)
        shutil.copytree(tmp_path / "runs" / "first", tmp_path / "runs" / "second")
        file = tmp_path / "runs" / "second" / name
        shutil.move(file, outside / file.name)
        (tmp_path / "runs" / "second" / "result.json").unlink()
        file.symlink_to(outside / file.name)
        before = state(outside)
        status, _, err = command("resume=runs/second")
        assert status == 2, name
        assert f"runs/second/{name}: It is a symbolic link" in err
        assert state(outside) == before


def test_a_long_value_makes_a_legible_name_and_stands_whole_in_the_record(sweep: Sweep) -> None:
    name = "v" * 300
    timer = (f"+callbacks.{name}._target_=pytorch_lightning.callbacks.Timer", f"+callbacks.{name}.interval=step,epoch")
    done = sweep(*timer, "seed=0,1", *SHORT)
    assert done.status == 0, done.err
    assert len(done.runs) == 4
    assert all(len(run.name.encode()) <= LONGEST for run in done.runs)
    assert all(name in RunRecord(run).config.values["callbacks"] for run in done.runs)


def test_a_refused_resume_removes_nothing(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("name=first", "output_dir=runs", "trainer.max_epochs=1")[0] == 0
    run = tmp_path / "runs" / "first"
    (run / "result.json").unlink()
    (run / "checkpoints" / "last.ckpt").unlink()
    (run / "metrics.jsonl").unlink()
    (run / "thoughts.txt").write_text("mine")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("It cannot be. Change it.")

    monkeypatch.setattr("torch.optim.lr_scheduler.ConstantLR.__init__", refuse)
    assert command("resume=runs/first")[0] == 2
    assert (run / "thoughts.txt").read_text() == "mine"


def test_a_run_is_trained_again_beside_itself_however_it_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gridstorm.cli import gridstorm as main

    long = "x" * LONGEST
    assert command(f"name={long}", "output_dir=runs", "trainer.max_epochs=1")[0] == 0
    monkeypatch.chdir(tmp_path / "runs" / long)
    assert main(["rerun", "."]) == 0
    [made] = [run for run in (tmp_path / "runs").iterdir() if run.name != long]
    assert len(made.name.encode()) <= LONGEST
    assert (made / "result.json").is_file()


def test_a_link_in_the_place_of_an_unfinished_file_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".gridstorm-a.json.{os.getpid()}").symlink_to(victim)
    write_whole(tmp_path / "a.json", "theirs")
    assert (victim.read_text(), (tmp_path / "a.json").read_text()) == ("mine", "theirs")
    assert not (tmp_path / "a.json").is_symlink()


def held_elsewhere(run: Path) -> Any:
    """Hold a run as another process would: a lock of another opened file."""
    lock = hold(run / ".lock")
    assert lock
    return lock


def test_a_run_that_another_process_trains_stays_as_it_is(
    command: Command, sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridstorm.record.run.HELD_SECONDS", 0.1)
    done = sweep("optimizer.lr=0.01,0.1", *SHORT)
    run = done.runs[0]
    told = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**told, "status": "failed", "error": "x"}))
    (run / "stop").write_text("{}")
    before = state(run)
    with held_elsewhere(run):
        status, _, err = command(f"resume='{run}'")
        assert (status, "Another process trains this run." in err) == (2, True)
        again = sweep("optimizer.lr=0.01,0.1", *SHORT)
        assert again.status == 1
        assert "Another process trains this run." in again.out
        with pytest.raises(UserError, match="Another process"):
            RunRecord(run).fail("it died")
        assert state(run) == before


def test_what_is_refused_leaves_no_directory(command: Command, tmp_path: Path) -> None:
    gone = "logger={_target_:pytorch_lightning.loggers.CometLogger}"
    for line, words in (((gone, "output_dir=o"), "CometLogger"), (("output_dir=/dev/null/x",), "cannot be written")):
        status, _, err = command(*line, "name=n", *SHORT)
        assert (status, words in err) == (2, True), err
    assert not list(tmp_path.glob("o/*"))
    (tmp_path / "o").mkdir(exist_ok=True)
    (tmp_path / "o" / "n").symlink_to(tmp_path / "nowhere")
    assert command("output_dir=o", "name=n", *SHORT)[0] == 0
    assert sorted(file.name for file in (tmp_path / "o").iterdir()) == ["n", "n-2"]
