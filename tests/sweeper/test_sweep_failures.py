"""Runs that raise, are killed, hang or go NaN cost themselves alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, STAND_IN, Sweep, result, rows

GOOD = "gridstorm.model.mlp.MLP"
CELLS = (GOOD, "broken.RaisesInTraining", "broken.IsKilled", GOOD, "broken.Hangs", "broken.GoesNaN", GOOD)
RATES = (0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007)
GRID = (
    f"model._target_={','.join(CELLS)}",
    f"optimizer.lr={','.join(map(str, RATES))}",
    "sweep.zip=[[model._target_,optimizer.lr]]",
    "trainer.max_epochs=2",
    "sweep.timeout=8",
    "sweep.name=grid",
)


def command_line(directory: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Carry out `python train.py -m` in a process of its own, with worker processes."""
    environment = {**os.environ, "GRIDSTORM_ALLOW": "broken", "PYTHONPATH": str(STAND_IN)}
    command = [sys.executable, "train.py", "-m", f"output_dir={directory}", *overrides]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_what_fails_is_named_with_cause_and_remedy_and_is_all_that_a_second_call_repeats(tmp_path: Path) -> None:
    done = command_line(tmp_path, *GRID)
    assert done.returncode == 1, done.stderr
    runs: dict[str, list[Path]] = {"done": [], "failed": [], "diverged": []}
    for run in sorted(tmp_path.glob("grid/[0-9]*")):
        runs[result(run)["status"]].append(run)
    assert [run.name[:2] for run in runs["done"]] == ["01", "04", "07"]
    assert [run.name[:2] for run in runs["failed"]] == ["02", "03", "05"]
    assert [run.name[:2] for run in runs["diverged"]] == ["06"]
    assert "Traceback" not in done.stderr
    causes = done.stdout[done.stdout.index("What went wrong") :]
    assert "this network always fails" in causes
    assert "killed by SIGKILL" in causes
    assert "timeout: it took longer than 8s" in causes
    assert "NaN" in causes
    assert "error.txt" in causes
    assert "Try a smaller learning rate" in causes
    assert "always fails" in (runs["failed"][0] / "error.txt").read_text()
    assert result(runs["failed"][0])["error"] == "RuntimeError: this network always fails"
    before = {run.name: (run / "result.json").stat().st_mtime_ns for run in runs["done"]}
    again = command_line(tmp_path, *GRID)
    assert re.search(r"7 runs: 3 done, 1 diverged, 3 failed \(.*timeout.*\), 0 to go", again.stdout), again.stdout
    assert len(re.findall(r"^\d/7 ", again.stdout, re.MULTILINE)) == 4
    assert {run.name: (run / "result.json").stat().st_mtime_ns for run in runs["done"]} == before
    assert len([*tmp_path.glob("grid/[0-9]*")]) == 7


@pytest.mark.slow
def test_one_ctrl_c_lets_the_running_ones_finish_and_two_stop_them_resumable(tmp_path: Path) -> None:
    grid = (f"output_dir={tmp_path}", "sweep.name=grid", "optimizer.lr=range(0.001,0.009,0.001)")
    command = [sys.executable, "train.py", "-m", *grid, "trainer.max_epochs=40", "sweep.fuse=off", "launcher.places=2"]
    for interrupts in (1, 2):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        over = len([*tmp_path.glob("grid/*/result.json")])
        while len([*tmp_path.glob("grid/*/metrics.jsonl")]) < over + 2 and process.poll() is None:
            time.sleep(0.01)
        for _ in range(interrupts):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        states = [trial["status"] for trial in json.loads((tmp_path / "grid" / "sweep.json").read_text())["trials"]]
        assert states.count("waiting") > 0
        assert "running" not in states
        if interrupts == 1:
            assert "Stopping when the 2 running runs finish" in out
            assert "interrupted" not in states
    assert "interrupted" in states
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^8 runs: \d done, \d interrupted, \d to go", done.stdout, re.MULTILINE), done.stdout
    assert len([*tmp_path.glob("grid/*/result.json")]) == 8


def test_a_sweep_of_which_nothing_succeeds_ends_in_a_sentence(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "broken")
    done = sweep("model._target_=broken.RaisesInTraining", "optimizer.lr=0.1,0.2", "trainer.max_epochs=1")
    assert done.status == 1
    assert "No trial came to its end with a score" in done.out
    assert "Traceback" not in done.err
    assert not (done.directory / "best.yaml").exists()


@pytest.mark.slow
def test_a_process_that_died_is_tried_again_as_often_as_asked(tmp_path: Path) -> None:
    grid = ("model._target_=broken.IsKilled", "optimizer.lr=0.1,0.2", "trainer.max_epochs=1", "sweep.name=grid")
    done = command_line(tmp_path, *grid, "sweep.retries=2")
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("trying again") == 4
    assert result(tmp_path / "grid" / "01-lr=0.1")["error"].startswith("died: killed by SIGKILL")


@pytest.mark.parametrize("fuse", ["off", "3"])
@pytest.mark.parametrize("name", ["environment.json", "config.yaml", "checkpoints/last.ckpt"])
@pytest.mark.parametrize("content", [b"", None, b"\x80\x02noise"], ids=["emptied", "halved", "garbage"])
def test_a_damaged_file_of_an_interrupted_run_costs_no_other_and_the_sweep_goes_on(
    sweep: Sweep, fuse: str, name: str, content: bytes | None
) -> None:
    short = ("model=linear", "trainer.precision=64-true", "trainer.max_epochs=2", "trainer.limit_train_batches=3")
    grid = ("optimizer.lr=0.1,0.2,0.05", *short, f"sweep.fuse={fuse}")
    done = sweep(*grid)
    assert done.status == 0, done.err
    curves = [metrics(run) for run in done.runs]
    for run in done.runs:
        (run / "result.json").unlink()
    file = done.runs[0] / name
    whole = file.read_bytes()
    file.unlink()  # the last checkpoint may be a second name of the best
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    again = sweep(*grid)
    assert again.status == 0, again.err
    warnings = [warning for run in again.runs if (run / "result.json").exists() for warning in result(run)["warnings"]]
    assert name.rpartition("/")[2] in again.out + "".join(warnings)
    finished = [run for run in again.runs if (run / "result.json").exists()]
    assert len(finished) == 3
    for before, after in zip(sorted(curves), sorted(map(metrics, finished)), strict=True):
        assert after == pytest.approx(before, rel=1e-9)  # a run that goes on alone sums in another order


def metrics(run: Path) -> list[float]:
    """Return the validation losses of a run."""
    return [row["val/loss"] for row in rows(run) if "val/loss" in row]
