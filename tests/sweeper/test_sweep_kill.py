"""A sweep whose processes are killed at random moments, and whose command is run again until it is done."""

import json
import multiprocessing
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, result, rows
from house import ALL

FORK = multiprocessing.get_context("fork")
HARD = ("model.dropout=0.3", "model.norm=batch", "scheduler=plateau", "scheduler.patience=1")
GRID = (*HARD, "optimizer.lr=1e-4,1e-3,1e-2,1e-1", "sweep.name=grid", "sweep.retries=50")
APART = (*GRID, "data.batch_size=32,64,128", "trainer.max_epochs=12", "sweep.fuse=off")
TOGETHER = (*GRID, "optimizer.weight_decay=0,1e-3,1e-2", "trainer.max_epochs=100", "sweep.fuse=12")
NUM_RUNS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Start one server of worker processes for all sweeps of this file, and return its process number.

    A sweep from the command line has one of its own, which costs it the import of torch, and this is done fifty times.
    """
    from gridstorm.launcher.processes import serve_forks
    from gridstorm.sweeper.job import PRELOAD

    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # one of another file's, which has imported something else
    serve_forks([*PRELOAD, "gridstorm.launcher.processes", "often"], 1)
    number = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    before = os.waitpid
    # A forked sweep asks whether the server lives; it is not its child.
    os.waitpid = lambda pid, options: (0, 0) if pid == number and os.getpid() != home else before(pid, options)
    home = os.getpid()
    yield number
    os.waitpid = before
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def sweep_in_child(directory: Path, log: Path, grid: Sequence[str]) -> "multiprocessing.process.BaseProcess":
    """Start the sweep in a process of its own, as `python train.py -m` does after its imports."""

    def main() -> None:
        os.setpgrp()
        sys.stdout = sys.stderr = log.open("a", buffering=1)
        sys.argv = ["train.py", "-m", f"output_dir={directory}", *grid]
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")

    child = FORK.Process(target=main)
    child.start()
    return child


def workers(server: int) -> list[int]:
    """Return the process numbers of the server's children."""
    return [int(text) for text in Path(f"/proc/{server}/task/{server}/children").read_text().split()]


def state(directory: Path) -> dict[str, Any]:
    """Return all that must be equal of a sweep, by run: its curve, its result, its last and best weights."""
    import torch

    found = {}
    for run in sorted(directory.glob("[0-9]*")):
        weights = [torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("last", "best")]
        tensors = [(key, tensor.tolist()) for one in weights for key, tensor in one["state_dict"].items()]
        kept = {name: value for name, value in result(run).items() if name != "seconds"}
        found[run.name] = (rows(run), kept, tensors)
    return found


def left_alone(parent: Path, grid: Sequence[str]) -> tuple[dict[str, Any], float]:
    """Return what a sweep leaves that nothing disturbs, and how long it takes."""
    started = time.monotonic()
    child = sweep_in_child(parent, parent / "log", grid)
    child.join()
    assert child.exitcode == 0, (parent / "log").read_text()
    return state(parent / "grid"), time.monotonic() - started


@pytest.fixture(scope="module")
def undisturbed(server: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """What an undisturbed sweep leaves, and how long it takes."""
    return left_alone(tmp_path_factory.mktemp("undisturbed"), APART)


@pytest.fixture(scope="module")
def together(server: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """The same of a sweep whose runs are trained together."""
    parent = tmp_path_factory.mktemp("together")
    sweep_in_child(parent, parent / "plan", (*TOGETHER, "sweep.dry_run=true")).join()
    assert "trained together, at most 12" in (parent / "plan").read_text()
    return left_alone(parent, TOGETHER)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("number", range(5 if ALL else 1))
def test_a_sweep_that_is_killed_at_ten_moments_ends_as_if_it_had_not_been(
    server: int, undisturbed: tuple[dict[str, Any], float], tmp_path: Path, number: int
) -> None:
    told = disturbed(server, tmp_path, random.Random(number), undisturbed[1] / 6, APART)
    assert_whole(tmp_path / "grid", 12)
    assert state(tmp_path / "grid") == undisturbed[0], told


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("number", range(5 if ALL else 1))
def test_so_does_one_whose_runs_are_trained_together_but_for_rounding(
    server: int, together: tuple[dict[str, Any], float], tmp_path: Path, number: int
) -> None:
    told = disturbed(server, tmp_path, random.Random(number), together[1] / 4, TOGETHER)
    assert_whole(tmp_path / "grid", 100)
    found = state(tmp_path / "grid")
    assert found.keys() == together[0].keys()
    for name, (_, kept, _) in found.items():
        assert kept["score"] == pytest.approx(together[0][name][1]["score"], rel=1e-2), (name, told)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_so_does_one_in_which_what_is_beyond_help_is_stopped(server: int, tmp_path: Path) -> None:
    grid = ("optimizer=sgd", "optimizer.lr=0.001,0.1,1,0.01,3,0.03", "trainer.max_epochs=60", "pruner=diagnosis",
            "sweep.fuse=off", "launcher.places=1", "sweep.name=grid", "sweep.retries=50")  # fmt: skip
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, seconds = left_alone(tmp_path / "whole", grid)
    told = disturbed(server, tmp_path / "killed", random.Random(0), seconds / 4, grid, times=5)
    found = state(tmp_path / "killed" / "grid")
    expected = ["done", "done", "pruned", "done", "pruned", "done"]
    for one in (whole, found):
        assert [result["status"] for _, result, _ in one.values()] == expected, told
    assert [one for one in found.values() if one[1]["status"] == "done"] == [
        one for one in whole.values() if one[1]["status"] == "done"
    ], told


def disturbed(
    server: int, parent: Path, chance: random.Random, seconds: float, grid: Sequence[str], times: int = 10
) -> list[tuple[str, int, int]]:
    """Kill a sweep, a worker or both at random moments, and carry it out to its end; return what was killed."""
    told = []
    for victim in chance.choices(("sweep", "worker", "both"), k=times):
        child = sweep_in_child(parent, parent / "log", grid)
        time.sleep(0.3 + chance.random() * seconds)
        alive = workers(server)
        if victim in ("worker", "both") and alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
        if victim == "worker":
            time.sleep(chance.random() * seconds)
        os.kill(child.pid or 0, signal.SIGKILL)
        told.append((victim, len(alive), len(list(parent.glob("grid/*/result.json")))))
        child.join()
    child = sweep_in_child(parent, parent / "log", grid)
    child.join()
    log = (parent / "log").read_text()
    assert child.exitcode == 0, log
    assert "Traceback" not in log
    assert " interrupted" in log, f"it was over before it was disturbed: {told}"
    return told


def assert_whole(directory: Path, epochs: int) -> None:
    """Every trial is done exactly once, and no file is half written or left over."""
    runs = sorted(directory.glob("[0-9]*"))
    assert len(runs) == NUM_RUNS
    assert len({result(run)["signature"] for run in runs}) == NUM_RUNS
    assert not [file for file in directory.rglob(".*") if file.name != ".lock"]
    for file in directory.rglob("*.json"):
        json.loads(file.read_text())
    for run in runs:
        assert [row["epoch"] for row in rows(run)] == list(range(1, epochs + 1))
        assert len(list(run.glob("events.out.tfevents.*"))) == 1


@pytest.mark.slow
def test_a_killed_sweep_goes_on_from_the_command_line_and_says_so_first(tmp_path: Path) -> None:
    command = [sys.executable, "train.py", "-m", f"output_dir={tmp_path}", *APART]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list(tmp_path.glob("grid/*/result.json"))) < 3:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    time.sleep(0.5)
    over = len(list(tmp_path.glob("grid/*/result.json")))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert re.match(rf"12 runs: {over} done, (\d interrupted, )?\d+ to go", first), first
    assert_whole(tmp_path / "grid", 12)
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.stdout.startswith("12 runs: 12 done, 0 to go")
