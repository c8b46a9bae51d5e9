"""A run that was killed, stopped or finished, and is asked to go on."""

import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from conftest import ROOT, Command, Compose, result, rows
from gridstorm.config.recipe import RunConfig
from gridstorm.error import UserError
from gridstorm.run.run import run
from house import telling

FORK = multiprocessing.get_context("fork")  # a child that has imported torch already
HARD = ("model.dropout=0.3", "model.norm=batch", "scheduler=plateau", "scheduler.patience=1", "trainer.max_epochs=12")


def in_child(one: RunConfig) -> "multiprocessing.process.BaseProcess":
    """Start a run in a process of its own."""
    child = FORK.Process(target=run, args=(one,))
    child.start()
    return child


def weights(directory: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a run's last and best network."""
    return {
        f"{name}/{key}": tensor
        for name in ("last", "best")
        for key, tensor in torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)[
            "state_dict"
        ].items()
    }


@pytest.fixture(scope="module")
def whole(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    parent = tmp_path_factory.mktemp("whole")
    child = in_child(composed(f"output_dir={parent}", "name=whole", *HARD))
    child.join()
    return parent / "whole"


def same(one: Path, two: Path) -> bool:
    """Tell whether two runs are equal bit for bit."""
    first, second = weights(one), weights(two)
    equal = all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    return equal and rows(one) == rows(two) and result(one)["score"] == result(two)["score"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("moment", range(10))
def test_a_killed_run_goes_on_to_the_same_numbers(composed: Compose, whole: Path, tmp_path: Path, moment: int) -> None:
    delay = random.Random(moment).random() * result(whole)["seconds"]
    child = in_child(composed(f"output_dir={tmp_path}", "name=killed", *HARD))
    while not (tmp_path / "killed" / "metrics.jsonl").exists():
        time.sleep(0.005)
    time.sleep(delay)
    child.kill()
    child.join()
    killed_early = not (tmp_path / "killed" / "result.json").exists()
    again = in_child(composed(f"resume={tmp_path / 'killed'}"))
    again.join()
    assert again.exitcode == 0
    assert same(whole, tmp_path / "killed"), f"killed after {delay:.2f} s, before its end: {killed_early}"


def start(directory: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a long run from the command line and wait for its first epoch."""
    command = [sys.executable, "train.py", f"output_dir={directory.parent}", f"name={directory.name}", *overrides]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (directory / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.02)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), telling([(signal.SIGINT, 130), (signal.SIGTERM, 143)], (signal.SIGTERM, 143))
)
def test_a_stopped_run_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals, status: int) -> None:
    process = start(tmp_path / "stopped", "trainer.max_epochs=10000")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"Go on: python train.py resume={tmp_path / 'stopped'}" in out
    assert "Traceback" not in err
    assert not (tmp_path / "stopped" / "result.json").exists()


@pytest.mark.slow
def test_kill_and_resume_from_the_command_line(tmp_path: Path) -> None:
    process = start(tmp_path / "killed", "trainer.max_epochs=60")
    process.kill()
    process.communicate()
    assert len(rows(tmp_path / "killed")) < 60
    command = [sys.executable, "train.py", f"resume={tmp_path / 'killed'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "of 60, after" in done.stdout
    assert [row["epoch"] for row in rows(tmp_path / "killed")] == list(range(1, 61))
    assert len(list((tmp_path / "killed").glob("events.out.tfevents.*"))) == 1


def test_a_run_that_is_over_is_not_trained_again(
    composed: Compose, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "metrics.jsonl").stat().st_mtime_ns
    again = run(composed(f"resume={whole}"))
    assert again and again.result and again.result.status == "done"
    assert "is over already" in capsys.readouterr().out
    assert (whole / "metrics.jsonl").stat().st_mtime_ns == before


def test_a_run_goes_on_with_its_own_configuration_alone(composed: Compose, whole: Path) -> None:
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.1: A run goes on with the configuration"):
        run(composed(f"resume={whole}", "optimizer.lr=0.1"))


def test_a_foreign_record_builds_nothing_that_is_not_allowed(composed: Compose, whole: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(whole, theirs)
    (theirs / "result.json").unlink()
    text = (theirs / "config.yaml").read_text()
    (theirs / "config.yaml").write_text(text.replace("torch.optim.Adam", "subprocess.Popen"))
    with pytest.raises(UserError, match=r"subprocess\.Popen: Configuration may only"):
        run(composed(f"resume={theirs}"))


def test_a_directory_without_a_run_is_refused(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no run in this directory"):
        run(composed(f"resume={tmp_path}"))


def test_what_a_crash_cut_short_is_forgotten(composed: Compose, whole: Path, tmp_path: Path) -> None:
    child = in_child(composed(f"output_dir={tmp_path}", "name=cut", *HARD))
    child.join()
    directory = tmp_path / "cut"
    (directory / "result.json").unlink()
    with (directory / "metrics.jsonl").open("a") as lines:
        lines.write(json.dumps({"step": 10**6})[:9])
    half = [directory / ".gridstorm-metrics.jsonl.4711", directory / "checkpoints" / ".gridstorm-last.4711"]
    for file in half:
        file.touch()
    again = in_child(composed(f"resume={directory}"))
    again.join()
    assert same(whole, directory)
    assert not [file for file in half if file.exists()]


SPOILED = {
    "emptied": lambda file: file.write_bytes(b""),
    "halved": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbage": lambda file: file.write_bytes(b"\x80\x02noise"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize("names", [("last",), ("last", "best")], ids="+".join)
def test_a_run_whose_last_checkpoint_is_damaged_goes_on_from_the_best_one_or_from_the_start(
    command: Command, tmp_path: Path, spoiled: str, names: tuple[str, ...]
) -> None:
    short = ("trainer.max_epochs=3", "trainer.limit_train_batches=5", "model.norm=batch", "optimizer.lr=0.01")
    assert command("output_dir=runs", "name=one", *short)[0] == 0
    shutil.copytree(tmp_path / "runs" / "one", tmp_path / "runs" / "whole")
    (tmp_path / "runs" / "one" / "result.json").unlink()
    for name in names:
        file = tmp_path / "runs" / "one" / "checkpoints" / f"{name}.ckpt"
        copied = file.read_bytes()
        file.unlink()  # the last may be a second name of the best
        file.write_bytes(copied)
        SPOILED[spoiled](file)
    status, _, err = command("resume=runs/one")
    start = "the best checkpoint" if len(names) == 1 else "the start"
    assert status == 0, err
    [warning] = result(tmp_path / "runs" / "one")["warnings"]
    assert "last.ckpt: It cannot be read" in warning
    assert warning in err
    assert f"It was renamed to damaged.ckpt, and the run goes on from {start}." in warning
    assert same(tmp_path / "runs" / "whole", tmp_path / "runs" / "one")


@pytest.mark.parametrize("name", ["config.yaml", "origin.json"])
@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_run_without_a_readable_configuration_is_refused_with_the_name_of_the_file(
    command: Command, tmp_path: Path, name: str, spoiled: str
) -> None:
    assert command("output_dir=runs", "name=one", "trainer.max_epochs=1", "trainer.limit_train_batches=2")[0] == 0
    (tmp_path / "runs" / "one" / "result.json").unlink()
    SPOILED[spoiled](tmp_path / "runs" / "one" / name)
    status, _, err = command("resume=runs/one")
    assert status == 2
    assert f"runs/one/{name}" in err
    assert "Traceback" not in err
