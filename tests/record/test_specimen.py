"""What an older Gridstorm left behind can be read, resumed, reported and run."""

import json
import shutil
from pathlib import Path

import pytest

from conftest import Command, Sweep, result, rows
from gridstorm.record.run import RunRecord
from gridstorm.record.sweep import read

SPECIMEN = Path(__file__).parent / "specimen"
SWEEP = ("data=breast_cancer", "model=linear", "data.batch_size=128", "optimizer.lr=0.001,0.01,0.1", "sweep.fuse=3",
         "trainer.max_epochs=2")  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the specimens, since whoever goes on with them writes to them."""
    return Path(shutil.copytree(SPECIMEN, tmp_path / "old"))


def test_they_are_what_they_were() -> None:
    ends = {name: RunRecord(SPECIMEN / name).result for name in ("finished", "diverged", "interrupted")}
    statuses = {name: result and result.status for name, result in ends.items()}
    assert statuses == {"finished": "done", "diverged": "diverged", "interrupted": None}
    assert "format" not in json.loads((SPECIMEN / "finished" / "origin.json").read_text())
    assert sum(file.stat().st_size for file in SPECIMEN.rglob("*") if file.is_file()) < 300_000


def test_a_finished_one_is_read_and_is_over(command: Command, old: Path) -> None:
    record = RunRecord(old / "finished")
    assert [row["epoch"] for row in record.rows()] == [1, 2, 3]
    assert record.config.values["callbacks"]["early_stopping"]["patience"] == 5
    status, out, err = command(f"resume={old}/finished")
    assert (status, err) == (0, "")
    assert "is over already" in out
    assert "best val/loss 0.5666 in epoch 3" in out


def test_a_diverged_one_is_over_too(command: Command, old: Path) -> None:
    assert "is over already" in command(f"resume={old}/diverged")[1]


def test_an_interrupted_one_goes_on_to_its_end(command: Command, old: Path) -> None:
    before = rows(old / "interrupted")
    status, _, err = command(f"resume={old}/interrupted")
    assert (status, err) == (0, "")
    points = rows(old / "interrupted")
    saved = [row for row in before if row["step"] <= 100]  # the rest is trained again, by a machine that may round else
    assert points[: len(saved)] == saved
    assert sorted({row["epoch"] for row in points}) == list(range(1, 41))
    assert len({row["step"] for row in points}) == len(points)
    assert result(old / "interrupted")["status"] == "done"
    assert len([*(old / "interrupted").glob("events.out.tfevents.*")]) == 1


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_its_recipe_is_trained_again(old: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    from gridstorm.cli import gridstorm as main

    main(["rerun", str(old / name)])
    assert "identical" in capsys.readouterr().out
    assert result(old / f"{name}-rerun")["status"] == "done"


def old_sweep(old: Path, tmp_path: Path) -> None:
    shutil.move(old / "sweep", tmp_path / "grid")


def test_the_same_sweep_says_that_it_was_made_by_an_older_one_and_mixes_nothing(
    sweep: Sweep, old: Path, tmp_path: Path
) -> None:
    old_sweep(old, tmp_path)
    before = {file: file.read_bytes() for file in (tmp_path / "grid").glob("0*/*") if file.is_file()}
    asked = sweep(*SWEEP)
    assert asked.status == 2
    assert "3 runs were made with an older Gridstorm" in asked.err
    assert "sweep.stale=keep" in asked.err
    kept = sweep(*SWEEP, "sweep.stale=keep")
    assert kept.status == 0, kept.err
    assert "3 runs: 3 done, 0 to go" in kept.out
    assert before == {file: file.read_bytes() for file in before}
    table = (tmp_path / "grid" / "results.csv").read_text().splitlines()
    assert len(table) == 4
    again = sweep(*SWEEP, "sweep.stale=retrain")
    assert again.status == 0, again.err
    assert len(again.runs) == 6
    assert before == {file: file.read_bytes() for file in before}
    new = {one.format for one in read(tmp_path / "grid") if int(one.trial["number"]) > 3}
    assert new == {1}


def test_a_callback_that_old_signatures_left_out_counts(sweep: Sweep, old: Path, tmp_path: Path) -> None:
    old_sweep(old, tmp_path)
    timer = "+callbacks.timer._target_=pytorch_lightning.callbacks.Timer"
    assert "3 runs: 3 to go" in sweep(*SWEEP, timer, "sweep.stale=keep").out


def test_its_results_start_another_search(sweep: Sweep, old: Path) -> None:
    searched = ("data=breast_cancer", "model=linear", "data.batch_size=128", "trainer.max_epochs=2", "sampler=tpe")
    done = sweep(*searched, "optimizer.lr=tag(log,interval(1e-4,1))", "sweep.n_trials=2", f"sweep.from={old}/sweep")
    assert done.status == 0, done.err


def test_its_best_yaml_is_a_preset(command: Command, old: Path, tmp_path: Path) -> None:
    status, _, err = command(f"experiment={old}/sweep/best.yaml", f"output_dir={tmp_path}", "name=best")
    assert (status, err) == (0, "")
    assert result(tmp_path / "best")["signature"] == RunRecord(old / "sweep" / "03-lr=0.1").config.signature
