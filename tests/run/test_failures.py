"""What a run says where it cannot go on: words, a place to look, the exit status, and nothing lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import ROOT, STAND_IN, Command, Sweep, result
from house import telling

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=3")


def test_a_run_that_diverges_ends_with_status_1(command: Command) -> None:
    status, out, _ = command("optimizer=sgd", "optimizer.lr=1e30", *SHORT)
    assert (status, "verdict not_finite: " in out) == (1, True)


def test_a_name_that_is_taken_is_told(command: Command) -> None:
    first, second = (command("name=wl", "output_dir=o", *SHORT) for _ in range(2))
    assert "is taken" not in first[1]
    assert "wl is taken: this run is wl-2.\n" in second[1]


def test_a_plateau_waits_for_the_next_validation(command: Command) -> None:
    line = ("scheduler=plateau", "trainer.check_val_every_n_epoch=2", "trainer.max_epochs=4", "name=p", "output_dir=o")
    status, _, err = command(*line, "trainer.limit_train_batches=3")
    assert (status, err) == (0, "")
    assert result(Path("o/p"))["best_epoch"] in (2, 4)


@pytest.mark.parametrize("precision", ["16-mixed", "16"])
def test_a_precision_that_lightning_would_replace_is_refused(command: Command, precision: str) -> None:
    status, _, err = command(f"trainer.precision={precision}", "trainer.accelerator=cpu", *SHORT)
    assert status == 2
    assert "The cpu cannot do it, and Lightning would take bf16-mixed instead." in err
    assert "Write trainer.precision=bf16-mixed." in err


def test_what_a_users_data_raise_is_told_with_its_class_file_and_line(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "broken")
    status, _, err = command("data._target_=broken.Columns", *SHORT)
    assert status == 2
    assert "broken.Columns raised KeyError: 'colour' (" in err
    assert "broken.py, line " in err


def test_what_is_raised_in_training_is_told_in_words_with_the_file_that_has_the_whole(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "broken")
    status, _, err = command("+callbacks.x._target_=broken.Raises", "name=r", "output_dir=o", *SHORT)
    assert status == 1
    assert err.startswith("The run failed: RuntimeError: no more (")
    assert "Traceback" not in err
    assert "Traceback" in Path("o/r/error.txt").read_text()
    assert result(Path("o/r"))["status"] == "failed"


def test_data_without_a_length_have_a_bar_without_an_end(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "broken")
    status, out, err = command("data._target_=broken.Endless", "trainer.max_epochs=2", "name=e", "output_dir=o")
    assert (status, "Traceback" in err) == (0, False), err
    assert "of 2, after" in out


def test_printed_commands_can_be_pasted(command: Command) -> None:
    _, out, _ = command("output_dir=o x", "name=a b", *SHORT)
    assert "look    tensorboard --logdir 'o x'" in out


def test_a_batch_of_one_that_batch_normalization_cannot_learn_from_is_refused(command: Command, sweep: Sweep) -> None:
    line = ("model.norm=batch", "data.batch_size=1", *SHORT)
    status, _, err = command(*line)
    assert (status, "data.batch_size=1: MLP cannot learn from one sample at a time" in err) == (2, True)
    assert "Give data.batch_size=2 or more" in sweep(*line, "optimizer.lr=0.1,0.2").err
    assert command("data.batch_size=1", "trainer.limit_train_batches=2", "trainer.max_epochs=1")[0] == 0


FILES = ("sweep.json", "results.csv", "best.yaml")


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_sweeps_file_is_refused_and_left_alone(sweep: Sweep, name: str) -> None:
    done = sweep("optimizer.lr=0.1", *SHORT)
    (done.directory / name).unlink()
    (done.directory / name / "mine").mkdir(parents=True)
    again = sweep("optimizer.lr=0.1", *SHORT)
    assert (again.status, f"{name}: It is no file, and the sweep writes one of this name." in again.err) == (2, True)
    assert (done.directory / name / "mine").is_dir()
    assert not [*done.directory.glob(".gridstorm-*")]


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "environment.json"])
def test_a_folder_in_the_place_of_a_runs_file_costs_that_run_alone(sweep: Sweep, name: str) -> None:
    done = sweep("optimizer.lr=0.1,0.2", *SHORT)
    run = done.runs[0]
    (run / "result.json").unlink()
    (run / name).unlink(missing_ok=True)
    (run / name / "mine").mkdir(parents=True)
    again = sweep("optimizer.lr=0.1,0.2", *SHORT)
    assert again.status == 0, again.err
    assert "Set aside, and trained anew" in again.out
    assert len(again.runs) == 3


def test_a_single_sample_is_refused_before_the_training_where_it_is_only_explained_too(command: Command) -> None:
    status, _, err = command("model.norm=batch", "data.batch_size=1", "explain=true")
    assert (status, "data.batch_size=1: MLP cannot learn from one sample at a time" in err) == (2, True)


def test_a_run_that_would_stop_before_its_first_score_is_refused(command: Command) -> None:
    status, _, err = command("+trainer.max_steps=5", "trainer.max_epochs=3")
    assert status == 2
    assert "In 5 steps val/loss is never measured, which is the run's score: that needs " in err
    line = ("+trainer.max_steps=5", "trainer.max_epochs=3", "output_dir=o")
    assert command(*line, "monitor=train/loss", "name=train")[0] == 0
    assert command(*line, "+trainer.val_check_interval=5", "name=inside")[0] == 0
    assert command(*line, "trainer.limit_train_batches=5", "name=short")[0] == 0
    assert all(result(Path("o", name))["score"] is not None for name in ("train", "inside", "short"))


def test_the_time_of_data_without_a_length_is_called_unknown(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "broken")
    endless = ("data._target_=broken.Endless", "optimizer.lr=0.1,0.2", "sweep.fuse=off")
    plan = sweep(*endless, "sweep.dry_run=true")
    assert (plan.status, "expected time  unknown" in plan.out) == (0, True)
    assert "How long the sweep takes is not known" in sweep(*endless, "sweep.budget=1s").err
    assert "expected time  unknown" not in sweep(*endless, "sweep.dry_run=true", "+trainer.limit_train_batches=2").out


@pytest.mark.parametrize(
    "content", ['{"status": "done"}', '{"status":"done","score":"abc","monitor":"val/loss","mode":"min"}']
)
def test_a_result_that_holds_no_numbers_costs_that_run_alone(sweep: Sweep, content: str) -> None:
    done = sweep("optimizer.lr=0.1,0.2", *SHORT)
    (done.runs[0] / "result.json").write_text(content)
    again = sweep("optimizer.lr=0.1,0.2", *SHORT)
    assert (again.status, "Set aside, and trained anew" in again.out) == (0, True)


def test_a_dry_run_foresees_what_is_stale(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep("optimizer.lr=0.1,0.2", *SHORT)
    monkeypatch.setattr("gridstorm.sweeper.adoption.code", lambda recipe: "other")
    plan = sweep("optimizer.lr=0.1,0.2", *SHORT, "sweep.dry_run=true")
    assert "2 runs were made with other code: sweep.stale=keep or sweep.stale=retrain" in plan.out


FULL = """
import runpy, sys, os
from pathlib import Path
import gridstorm.record.run as run, errno
write, name = run.write_whole, sys.argv[1]
def full(file, text, sync=False):
    if file.name == name:
        raise OSError(errno.ENOSPC, "No space left on device", str(file))
    write(file, text, sync)
run.write_whole = full
sys.argv = ["train.py", *sys.argv[2:]]
runpy.run_path(os.environ["TRAIN"], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", telling(["environment.json", "result.json"], "result.json"))
def test_a_full_disk_is_told_in_words_and_the_same_command_goes_on(tmp_path: Path, name: str) -> None:
    line = ["name=f", "output_dir=o", *SHORT]
    environment = {**os.environ, "TRAIN": str(ROOT / "train.py"), "PYTHONPATH": str(STAND_IN)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, name, *line], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "could not be written: no space left on device." in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.rglob(".gridstorm-*")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one and a bit megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1300k", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("fuse", telling(["off", "2"], "2"))
def test_a_sweep_on_a_full_disk_says_so_and_the_same_command_goes_on(small_disk: Path, fuse: str) -> None:
    grid = (f"output_dir={small_disk}", "optimizer.lr=0.01,0.02", "model.width=256", *SHORT, f"sweep.fuse={fuse}")
    line = [sys.executable, "train.py", "-m", "sweep.name=grid", *grid]
    full = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert full.returncode == 1, full.stderr
    words = full.stdout + full.stderr
    assert "o space left on device" in words
    assert "Traceback" not in words
    assert "Another process" not in words
    assert not [*small_disk.rglob(".gridstorm-*")]
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len([*small_disk.glob("grid/*/result.json")]) == 2


@pytest.mark.slow
def test_a_run_on_a_full_disk_can_be_resumed_when_there_is_room(small_disk: Path) -> None:
    line = [sys.executable, "train.py", f"output_dir={small_disk}", "name=one", "model.width=400", *SHORT]
    full = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert (full.returncode, "Traceback" in full.stderr) == (1, False)
    assert "resume=DIRECTORY with a run." in full.stderr
    assert not [*small_disk.rglob(".gridstorm-*")]
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    line = [sys.executable, "train.py", f"resume={small_disk}/one"]
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert (again.returncode, "best val/loss" in again.stdout) == (0, True)


@pytest.mark.slow
def test_a_terminal_shows_what_is_being_done_before_torch_is_loaded(tmp_path: Path) -> None:
    reading, terminal = os.openpty()
    line = [sys.executable, str(ROOT / "train.py"), "explain=true"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=terminal, stderr=terminal) as started:
        os.close(terminal)
        first = os.read(reading, 200)
        assert b"Loading PyTorch and Lightning ..." in first
        with suppress(OSError):  # which is how a terminal says that it is closed
            while os.read(reading, 10_000):
                pass
    os.close(reading)
    assert started.returncode == 0
