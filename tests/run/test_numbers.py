"""Nothing that tells of wrong numbers is hidden, and nothing that a user measures is dropped."""

import json
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, STAND_IN, Command, Sweep, result, rows
from gridstorm.config.task import misshapen
from gridstorm.error import said
from gridstorm.objects.warning import QUIET, quiet
from house import telling

REGRESSION = ("data._target_=theirs.Data", "~data.batch_size", "~data.seed", "~data.split_seed", "~data.val_fraction",
              "~data.test_fraction", "~data.standardize", "model=linear", "loss=mse", "output_dir=runs", "name=first",
              "trainer.max_epochs=2")  # fmt: skip


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "theirs")


SHAPES = {
    "regression": (("[N]", (8, 1), (8,)), ("[N,2]", (8, 1), (8, 2))),
    "classification": (("labels", (8, 2), (8, 2)), ("masks", (8, 2, 4, 4), (8, 4, 4)), ("pairs", (8, 2), (4,))),
    "language_modelling": (("a longer text", (8, 256), (9,)),),
}


@pytest.mark.parametrize("task", SHAPES)
def test_shapes_that_would_broadcast_do_not_fit(task: str) -> None:
    for name, logits, y in SHAPES[task]:
        assert misshapen(task, logits, y, ()), name
    fitting = ((8, 1), (8, 1)) if task == "regression" else ((8, 2), (8,))
    assert misshapen(task, fitting[0], fitting[1], ()) is None
    assert misshapen(task, fitting[0], fitting[1], (8, 1)) == (
        "The loss is [8, 1], and it has to be one number.", "Let it return its mean, such as reduction=mean.",
    )  # fmt: skip


TAKEN = "The predictions are [2, {}] and the targets {}"
WRONG = {
    "a column as targets": (("+data.target='[N]'",), TAKEN.format(1, [2])),
    "two targets": (("+data.target='[N,2]'",), TAKEN.format(1, [2, 2])),
    "several labels": (
        ("data._target_=theirs.Classes", "+data.target='[N,2]'", "loss=cross_entropy"),
        TAKEN.format(2, [2, 2]),
    ),
    "a batch of three": (("data._target_=theirs.Pairs",), "A batch of the train part is not two tensors"),
    "a loss of each": (("loss._target_=theirs.Each",), "The loss is [2, 1], and it has to be one number"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_shapes_are_compared_before_training_alone_and_in_a_sweep(command: Command, tmp_path: Path, kind: str) -> None:
    overrides, words = WRONG[kind]
    line = [*REGRESSION, *overrides]
    status, _, err = command(*line)
    assert (status, "Traceback" in err) == (2, False), err
    assert words in err
    line = [text for text in line if not text.startswith("name=")]
    status, out, err = command("-m", *line, "optimizer.lr=0.1,0.2", "launcher=in_process", "sweep.name=grid")
    assert words in out + err
    own = "theirs.Each" in str(line)  # which may hang, so that it is tried in its own run
    assert status == (1 if own else 2)
    assert all(row == [] for row in map(rows, tmp_path.glob("runs/grid/0*")))


def test_targets_of_the_right_shape_are_learned(command: Command, tmp_path: Path) -> None:
    status, _, err = command(*REGRESSION, "optimizer.lr=0.1", "trainer.max_epochs=60")
    assert status == 0, err
    assert result(tmp_path / "runs" / "first")["metrics"]["val/r2"] > 0.99


def test_trying_a_batch_changes_nothing(monkeypatch: pytest.MonkeyPatch, command: Command, tmp_path: Path) -> None:
    hard = ("model.norm=batch", "model.dropout=0.2", "trainer.max_epochs=2", "output_dir=runs")
    assert command(*hard, "name=first")[0] == 0
    monkeypatch.setattr(import_module("gridstorm.run.run"), "try_one_batch", lambda *_: None)
    assert command(*hard, "name=second")[0] == 0
    assert rows(tmp_path / "runs" / "first") == rows(tmp_path / "runs" / "second")


def test_what_a_callback_logs_is_recorded_shown_and_in_the_table(command: Command, tmp_path: Path) -> None:
    status, _, err = command(*REGRESSION, "+callbacks.logs._target_=theirs.Logs", "trainer.log_every_n_steps=2")
    assert status == 0, err
    run = tmp_path / "runs" / "first"
    points = rows(run)
    assert [row["val/f1"] for row in points if "val/f1" in row] == [0.5, 1.5]
    assert [row["mine/step"] for row in points if "mine/step" in row][:2] == [2.0, 4.0]
    assert [row["logged/samples"] for row in points if "logged/samples" in row] == [7.0, 7.0]
    assert all(row["samples"] != 7 for row in points)
    assert result(run)["metrics"]["val/f1"] == 0.5 + result(run)["best_epoch"] - 1
    assert result(run)["metrics"]["test/f1"] == 0.75
    written = b"".join(file.read_bytes() for file in run.glob("events.out.tfevents.*"))
    assert all(name in written for name in (b"val/f1", b"mine/step", b"test/f1"))


def test_lightnings_own_monitors_are_recorded(command: Command, tmp_path: Path) -> None:
    monitor = "+callbacks.rates._target_=pytorch_lightning.callbacks.LearningRateMonitor"
    assert command(*REGRESSION, monitor, "optimizer.lr=0.25")[0] == 0
    assert {row["lr-Adam"] for row in rows(tmp_path / "runs" / "first") if "lr-Adam" in row} == {0.25}


def test_a_sweeps_table_has_what_a_callback_logs(sweep: Sweep) -> None:
    line = [text for text in REGRESSION if not text.startswith(("name=", "output_dir="))]
    done = sweep(*line, "+callbacks.logs._target_=theirs.Logs", "optimizer.lr=0.1,0.2")
    assert done.status == 0, done.err
    assert "val/f1" in (done.directory / "results.csv").read_text().splitlines()[0]


def test_the_hooks_of_a_data_module_on_a_batchs_way_are_called(command: Command, tmp_path: Path) -> None:
    zeroing = [text.replace("theirs.Data", "theirs.Zeroing") for text in REGRESSION]
    assert command(*zeroing, "optimizer.lr=0.5", "trainer.max_epochs=60")[0] == 0
    metrics = result(tmp_path / "runs" / "first")["metrics"]
    assert metrics["val/rmse"] < 0.5  # of targets that are all 3, from inputs that are all 0
    assert metrics["opt/weight_norm"] > 2


def test_runs_whose_data_have_hooks_are_trained_apart_and_the_plan_says_why(sweep: Sweep) -> None:
    line = [
        text.replace("theirs.Data", "theirs.Zeroing") for text in REGRESSION if not text.startswith(("name=", "output"))
    ]
    plan = sweep(*line, "optimizer.lr=0.1,0.2,0.3", "sweep.fuse=3", "sweep.dry_run=true")
    assert "trained apart, 3: the data's on_before_batch_transfer is for runs alone" in plan.out, plan.err
    apart = sweep(*line, "optimizer.lr=0.1,0.2,0.3", "sweep.fuse=off", name="apart")
    drawn = ("optimizer.lr=interval(0.1,0.3)", "sampler=tpe", "sweep.n_trials=3")
    fused = sweep(*line, *drawn, "sweep.fuse=3", name="drawn")
    assert (apart.status, fused.status) == (0, 0), fused.err
    assert all(result(run)["status"] == "done" for run in (*apart.runs, *fused.runs))


def test_data_are_prepared_before_they_are_set_up(command: Command) -> None:
    status, _, err = command(*(text.replace("theirs.Data", "theirs.Preparing") for text in REGRESSION))
    assert status == 0, err


def test_a_picture_that_cannot_be_made_costs_no_result(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("class_names")

    monkeypatch.setattr("gridstorm.run.evaluation.confusion_matrix", fail)
    with pytest.warns(RuntimeWarning, match="It is not shown in pictures or text: KeyError: 'class_names'"):
        status, out, _ = command("output_dir=runs", "name=first", "trainer.max_epochs=1")
    assert (status, "best val/loss" in out) == (0, True)
    assert result(tmp_path / "runs" / "first")["status"] == "done"
    assert any("class_names" in text for text in result(tmp_path / "runs" / "first")["warnings"])


def test_a_test_that_fails_costs_no_result(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridstorm.module.module.Module.on_test_epoch_end", lambda *_: 1 / 0)
    with pytest.warns(RuntimeWarning, match="It was not tested: ZeroDivisionError"):
        status, _, _ = command("output_dir=runs", "name=first", "trainer.max_epochs=1")
    assert status == 0
    assert result(tmp_path / "runs" / "first")["score"] is not None


def test_data_without_class_names_are_shown_by_number(command: Command, tmp_path: Path) -> None:
    classes = [text.replace("theirs.Data", "theirs.Classes") for text in REGRESSION if text != "loss=mse"]
    status, _, err = command(*classes, "+data.target='[N]'")
    assert (status, err) == (0, "")
    assert result(tmp_path / "runs" / "first")["warnings"] == []


@pytest.mark.parametrize("interval", ["0.5", "0.3", "7"])
def test_a_validation_inside_an_epoch_is_a_point_judged_and_saved(
    command: Command, tmp_path: Path, interval: str
) -> None:
    import torch

    grid = (
        "output_dir=runs",
        "name=first",
        "optimizer.lr=0.03",
        "trainer.max_epochs=3",
        "+trainer.val_check_interval=" + interval,
    )
    status, _, err = command(*grid)
    assert status == 0, err
    run = tmp_path / "runs" / "first"
    scores = {row["step"]: row["val/loss"] for row in rows(run) if "val/loss" in row}
    assert len(scores) == {"0.5": 6, "0.3": 9, "7": 6}[interval]
    best = min(scores, key=lambda step: scores[step])
    assert result(run)["score"] == pytest.approx(scores[best])
    assert result(run)["metrics"]["val/loss"] == scores[best]
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == best
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == max(
        row["step"] for row in rows(run)
    )


def test_the_check_before_training_is_no_score(command: Command, tmp_path: Path) -> None:
    line = ("output_dir=runs", "name=first", "trainer.max_epochs=2", "trainer.num_sanity_val_steps=2")
    assert command(*line, "trainer.check_val_every_n_epoch=2")[0] == 0
    assert [("val/loss" in row) for row in rows(tmp_path / "runs" / "first")] == [False, True]


def test_a_warning_reaches_the_user_and_the_record(command: Command, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="These numbers are wrong"):
        command(*REGRESSION, "+callbacks.warns._target_=theirs.Warns")
    assert result(tmp_path / "runs" / "first")["warnings"] == ["UserWarning: These numbers are wrong"]


def test_a_sweep_tells_what_its_runs_were_warned_of(sweep: Sweep) -> None:
    line = [text for text in REGRESSION if not text.startswith(("name=", "output_dir="))]
    with pytest.warns(UserWarning, match="These numbers are wrong"):
        done = sweep(*line, "+callbacks.warns._target_=theirs.Warns", "optimizer.lr=0.1,0.2")
    assert done.status == 0
    assert "What was warned of:\n  2  UserWarning: These numbers are wrong\n" in done.out


def test_only_what_has_a_reason_is_silent() -> None:
    assert all(reason for reason in QUIET.values())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("The `srun` command is available on your system but is not used.", stacklevel=1)
            warnings.warn_explicit(
                "Using a target size", UserWarning, "torch/nn/modules/loss.py", 1, "torch.nn.modules.loss"
            )
            warnings.warn_explicit("16-mixed becomes bf16", UserWarning, "x.py", 1, "pytorch_lightning.trainer")
            warnings.warn_explicit("overflow encountered", RuntimeWarning, "x.py", 1, "numpy")
    assert [str(one.message) for one in seen] == [
        "Using a target size",
        "16-mixed becomes bf16",
        "overflow encountered",
    ]


def test_what_lightning_would_do_otherwise_than_asked_is_refused(command: Command) -> None:
    line = ("output_dir=runs", "trainer.accelerator=cpu", "trainer.precision=16-mixed", "trainer.max_epochs=1")
    status, _, err = command(*line)
    assert (status, "bf16" in err) == (2, True)


def test_the_first_error_of_a_chain_is_told() -> None:
    try:
        try:
            raise KeyError("age")
        except KeyError as error:
            raise RuntimeError("worker failed") from error
    except RuntimeError as error:
        assert said(error) == "KeyError: 'age'"
    worker = "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback:\n  File\nValueError: no column"
    assert said(ValueError(worker)) == "ValueError: no column"


@pytest.mark.slow
@pytest.mark.parametrize("local", telling(["false", "true"], "true"))
def test_workers_of_a_dataloader_are_in_a_sweep_what_they_are_alone(tmp_path: Path, local: str) -> None:
    line = [*REGRESSION[:-3], "output_dir=runs", "+data.num_workers=1", f"+data.local={local}", "trainer.max_epochs=3"]

    def seconds(*arguments: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "GRIDSTORM_ALLOW": "theirs", "PYTHONPATH": str(STAND_IN)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return [json.loads(file.read_text())["seconds"] for file in tmp_path.glob("runs/**/result.json")]

    [alone] = seconds(*line, "name=alone")
    both = seconds("-m", *line, "optimizer.lr=0.001,0.002", "sweep.name=grid", "launcher.places=1")
    assert len(both) == 3
    assert max(both) < 5 * alone  # with a server that imports torch for each worker: a hundred times as long


def test_shapes_are_compared_in_a_group_too(sweep: Sweep) -> None:
    flat = ["data=diabetes", "loss=mse", "model._target_=theirs.Flat", "trainer.max_epochs=1"]
    flat += [f"~model.{key}" for key in ("depth", "width", "activation", "dropout", "norm")]
    done = sweep(*flat, "optimizer.lr=0.1,0.2,0.3", "sweep.fuse=3")
    assert done.status == 1
    assert "The predictions are [2] and the targets [2, 1]" in done.out
    assert all(rows(run) == [] for run in done.runs)


def test_a_batch_is_what_the_hooks_of_the_data_make_of_it(command: Command, tmp_path: Path) -> None:
    status, _, err = command(*(text.replace("theirs.Data", "theirs.Choosing") for text in REGRESSION))
    assert status == 0, err
    assert result(tmp_path / "runs" / "first")["status"] == "done"
