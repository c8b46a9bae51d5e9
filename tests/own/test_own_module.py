"""A stranger's LightningModule and data: trained, interrupted, resumed, swept, searched, shown and refused."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import ROOT, Command, Sweep, Train, result, rows
from house import telling

KINDS = {  # data, module, what is monitored
    "autoencoder": ("Digits", "Autoencoder", "monitor=val/error"),  # a torchmetrics object says when it is better
    "gan": ("Digits", "GAN", "monitor=gap", "mode=min"),
    "contrastive pair": ("Pairs", "Contrastive", "monitor=val_nce", "mode=min"),
    "segmentation": ("Masks", "Segmenter", "monitor=iou", "mode=max"),
    "multi-label": ("Labels", "Labeler", "monitor=val/f1", "mode=max"),
    "sequence to sequence": ("Sequences", "Backwards", "monitor=nll", "mode=min"),
    "distillation": ("Digits", "Student", "monitor=distance", "mode=min"),
    "stream": ("Stream", "Classifier"),
}
SHORT = ("trainer.max_epochs=3",)


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    monkeypatch.delenv("STRANGER_STOPS_AT", raising=False)


@pytest.fixture
def line(request: pytest.FixtureRequest, train: Train, tmp_path: Path) -> tuple[str, ...]:
    """The overrides of a kind; distillation learns from a run."""
    if request.param != "distillation":
        return (*of(request.param), *SHORT)
    teacher = train(*of("autoencoder"), "trainer.max_epochs=1")
    shutil.copy(teacher / "checkpoints" / "last.ckpt", tmp_path / "teacher.ckpt")
    return (*of(request.param), *SHORT, f"model.teacher={tmp_path / 'teacher.ckpt'}")


def of(kind: str) -> tuple[str, ...]:
    """The overrides that choose a kind."""
    data, module, *monitor = KINDS[kind]
    return f"data=stranger.data.{data}", f"model=stranger.modules.{module}", *monitor


every_kind = pytest.mark.parametrize("line", KINDS, indirect=True)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])


@every_kind
def test_it_trains_and_an_interrupted_run_goes_on_to_the_same_numbers(
    line: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = command(*line, "output_dir=o", "name=whole")
    assert status == 0, err
    assert "best " in out
    monkeypatch.setenv("STRANGER_STOPS_AT", "2")
    assert command(*line, "output_dir=o", "name=stopped")[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    status, _, err = command("resume=o/stopped")
    assert status == 0, err
    whole, stopped = tmp_path / "o" / "whole", tmp_path / "o" / "stopped"
    assert rows(whole) == rows(stopped)
    assert result(whole)["score"] == result(stopped)["score"] is not None
    first, second = weights(whole), weights(stopped)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.slow
@pytest.mark.parametrize("line", telling(KINDS, "stream"), indirect=True)
def test_one_that_is_killed_within_an_epoch_goes_on_to_the_same_numbers(
    line: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    assert command(*line, "output_dir=o", "name=whole")[0] == 0
    environment = {**os.environ, "STRANGER_DIES_AT": "1 2", "PYTHONPATH": str(ROOT / "tests" / "own")}
    program = [sys.executable, str(ROOT / "train.py"), *line, "output_dir=o", "name=killed"]
    killed = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    status, _, err = command("resume=o/killed")
    assert status == 0, err
    whole, stopped = tmp_path / "o" / "whole", tmp_path / "o" / "killed"
    assert rows(whole) == rows(stopped)
    first, second = weights(whole), weights(stopped)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@every_kind
def test_it_is_swept_and_a_trial_that_fails_costs_itself_alone(line: tuple[str, ...], sweep: Sweep) -> None:
    key, values = ("optimizer.lr", "0.01,2,0.001") if "Labeler" in line[1] else ("model.lr", "0.01,-1,0.001")
    done = sweep(*line, f"{key}={values}", "trainer.max_epochs=1")
    assert done.status == 1, done.err
    assert [result(run)["status"] for run in done.runs] == ["done", "failed", "done"]
    assert "no such learning rate" in done.out
    assert "3 runs: 2 done, 1 failed" in sweep(*line, f"{key}={values}", "trainer.max_epochs=1").out


@every_kind
def test_it_is_searched(line: tuple[str, ...], sweep: Sweep) -> None:
    key = "optimizer.lr" if "Labeler" in line[1] else "model.lr"
    search = (f"{key}=tag(log,interval(1e-4,1e-1))", "sampler=tpe", "sweep.n_trials=3", "trainer.max_epochs=1")
    done = sweep(*line, *search)
    assert done.status == 0, done.err
    assert len(done.runs) == 3
    assert (done.directory / "best.yaml").exists()


@every_kind
def test_tensorboard_reads_its_curves(line: tuple[str, ...], train: Train) -> None:
    run = train(*line, "trainer.max_epochs=1")
    events = EventAccumulator(str(run))
    events.Reload()
    monitor = result(run)["monitor"]
    [shown] = events.Scalars(monitor)
    assert shown.value == pytest.approx(result(run)["score"], rel=1e-6)


AUTOENCODER = of("autoencoder")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("monitor=val/eror",), "monitor=val/eror: Autoencoder logs no such metric"),
        (("monitor=val/eror",), "Did you mean 'val/error'?"),
        (("mode=max",), "mode=max: val/error is better when it is smaller. Write mode=min."),
        (("optimizer.lr=0.1",), "optimizer.lr: Autoencoder is a LightningModule that takes no optimizer."),
        (("loss=mse",), "loss=mse: Autoencoder is a LightningModule that takes no loss."),
        (("regularization.l1=0.1",), "regularization.l1: Autoencoder is a LightningModule that takes no"),
        (("model.code=four",), "model.code=four: It must be a whole number, and this is text."),
        (("model=stranger.modules.Autoencode",), "stranger.modules has no class Autoencode. Did you mean"),
        (("data=stranger.data.Digit",), "stranger.data has no class Digit. Did you mean 'Digits'?"),
    ],
)
def test_what_is_wrong_is_said_before_it_trains(
    command: Command, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    status, _, err = command(*AUTOENCODER, "output_dir=o", *overrides)
    assert (status, words in err) == (2, True), err
    assert not (tmp_path / "o").exists()


def test_a_metric_whose_direction_nobody_knows_needs_a_mode(command: Command) -> None:
    status, _, err = command(*of("gan")[:3], "output_dir=o", *SHORT)
    assert status == 2
    assert "Nothing says whether gap is better when it is smaller or larger. Write mode=min or mode=max." in err


def test_a_metric_that_comes_only_later_is_announced_by_a_key(command: Command) -> None:
    later = ("data=stranger.data.Digits", "model=stranger.modules.Late", "monitor=late", "mode=min", "output_dir=o")
    assert "add monitor_later=true" in command(*later, *SHORT)[2]
    status, _, err = command(*later, *SHORT, "monitor_later=true", "name=l")
    assert status == 0, err
    assert result(Path("o/l"))["best_epoch"] == 2


def test_hyperparameters_that_are_no_plain_values_are_left_out_of_checkpoints_and_said(
    command: Command, tmp_path: Path
) -> None:
    status, out, err = command(*of("multi-label"), *SHORT, "output_dir=o", "name=l")
    assert status == 0, err
    assert "Not in its checkpoints, since they are built anew from config.yaml: optimizer, scheduler\n" in out
    saved = torch.load(tmp_path / "o" / "l" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["hyper_parameters"] == {"num_labels": 3}


def test_state_that_cannot_be_read_again_is_refused_by_name(command: Command) -> None:
    odd = ("data=stranger.data.Digits", "model=stranger.modules.Odd", "output_dir=o")
    status, _, err = command(*odd, *SHORT)
    assert (status, "Its checkpoint holds what is no tensor and no plain value: mine (Odd)." in err) == (2, True), err


def test_a_sweep_says_before_it_trains_why_such_runs_are_trained_apart(sweep: Sweep) -> None:
    plan = sweep(*AUTOENCODER, "model.lr=0.1,0.01", "sweep.fuse=2", "sweep.dry_run=true")
    assert "trained apart, 2: a LightningModule trains by steps of its own" in plan.out


def test_a_preset_may_choose_it(command: Command, sweep: Sweep) -> None:
    done = sweep(*AUTOENCODER, "model.lr=0.1,0.01", "trainer.max_epochs=1")
    status, out, err = command(f"experiment={done.directory / 'best.yaml'}", "explain=true")
    assert (status, "stranger.modules.Autoencoder" in out) == (0, True), err


def test_loader_workers_and_numpy_draw_by_seed_and_epoch(train: Train) -> None:
    pairs = (*of("contrastive pair"), "trainer.max_epochs=2")
    assert rows(train(*pairs)) == rows(train(*pairs)) != rows(train(*pairs, "seed=1"))


def test_what_is_logged_per_step_per_epoch_and_of_several_loaders_has_its_own_names(train: Train) -> None:
    line = ("data=stranger.data.TwoLoaders", "model=stranger.modules.OfTwo", "monitor=val/loss/dataloader_idx_1")
    run = train(*line, "trainer.max_epochs=2", "trainer.log_every_n_steps=2")
    logged = {name for row in rows(run) for name in row}
    names = {"train/loss_step", "train/loss_epoch", "val/loss/dataloader_idx_0", "val/loss/dataloader_idx_1"}
    assert names <= logged
    seen = [row for row in rows(run) if "val/loss/dataloader_idx_0" in row]
    assert result(run)["score"] == min(row["val/loss/dataloader_idx_1"] for row in seen)
    assert all(row["val/loss/dataloader_idx_1"] == pytest.approx(row["val/loss/dataloader_idx_0"] + 1) for row in seen)


def test_what_a_resumed_run_cannot_draw_again_is_said_before_it_trains(command: Command) -> None:
    line = ("data=stranger.data.LivingWorkers", *of("contrastive pair")[1:], "trainer.max_epochs=1")
    status, out, err = command(*line)
    assert status == 0, err
    words = "goes on at the start of an epoch; its workers live on (persistent_workers), and then draw other random"
    assert words in out
