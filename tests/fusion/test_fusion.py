"""Runs that train as one leave what each would leave alone."""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from composing import composed
from conftest import result, rows
from gridstorm.config.recipe import RunConfig
from gridstorm.fusion import training as fused
from gridstorm.fusion.group import Group
from gridstorm.fusion.probe import fusible
from gridstorm.fusion.training import train_together
from gridstorm.objects.build import network_for
from gridstorm.objects.warning import quiet
from gridstorm.record.run import RunRecord
from gridstorm.run.run import train
from groups import DOUBLE, OTHERS, RESUMED_ALONE, SHORT, TEXT, alone, apart, cells, mine, off, record, together
from house import telling


@pytest.fixture(autouse=True)
def calm() -> Iterator[None]:
    """Do what a worker does around a job."""
    with quiet():
        yield


def equal(parent: Path, all_cells: Sequence[RunConfig], tolerance: float = 1e-10) -> list[Path]:
    """Check that runs end alike alone and together; return the directories of those that trained together."""
    ones, twos = alone(parent, all_cells), together(parent, all_cells)
    for one, two in zip(ones, twos, strict=True):
        assert off(one, two, ("",)) < tolerance
        if "callbacks=none" not in RunRecord(one).config.overrides:
            assert apart(one, two) < tolerance
        first, second = result(one), result(two)
        assert [*first] == [*second]
        for name in ("signature", "status", "best_epoch", "epochs", "parameters", "made_by"):
            assert first[name] == second[name]
    return twos


MODELS = {
    "linear": ["model=linear"],
    "mlp with dropout": ["model.dropout=0.2"],
    "mlp with batch norm": ["model.norm=batch", "optimizer=sgd", "model.dropout=0.1"],
    "mlp with layer norm": ["model.norm=layer"],
    "cnn": ["model=cnn", "model.width=4", "model.dropout=0.1"],
    "transformer": [*TEXT, "model.dropout=0.1", "optimizer=sgd", "optimizer.momentum=0.5"],
}
OPTIMIZERS = {
    "adam": [["optimizer.betas=[0.5,0.9]"], ["optimizer.weight_decay=0.1"]],
    "adamw": [["optimizer.weight_decay=0.5"]],
    "sgd": [["optimizer.momentum=0.5"], ["optimizer.momentum=0.0", "optimizer.nesterov=false"]],
    "rmsprop": [["optimizer.alpha=0.8"], ["optimizer.momentum=0.3"]],
    "adagrad": [["optimizer.lr_decay=0.1"]],
    "nadam": [["optimizer.momentum_decay=0.1"]],
}
SCHEDULERS = {
    "constant": [],
    "cosine": [["scheduler.eta_min=0.001"]],
    "exponential": [["scheduler.gamma=0.5"]],
    "one_cycle": [["scheduler.cycle_momentum=true"], ["optimizer.lr=0.01", "scheduler.pct_start=0.5"]],
    "plateau": [["scheduler.patience=0"], ["scheduler.patience=1", "scheduler.factor=0.5"]],
    "step": [["scheduler.step_size=1"]],
    "warmup_cosine": [["scheduler.warmup_steps=30"]],
}
LOSSES = {
    "cross_entropy": ([], [["loss.label_smoothing=0.1"], ["loss.label_smoothing=0.3"]]),
    "torch's cross_entropy": (["loss={_target_: torch.nn.CrossEntropyLoss, label_smoothing: 0.1}"],
                              [["loss.label_smoothing=0.2"]]),
    "focal": (["loss=focal"], []),
    "mse": (["data=diabetes", "loss=mse"], []),
    "huber": (["data=diabetes", "loss=huber"], []),
    "l1": (["data=diabetes", "loss=l1"], []),
}  # fmt: skip
TRAINERS = {
    "clipped by norm": ["trainer.gradient_clip_val=0.1"],
    "clipped by value": ["trainer.gradient_clip_val=0.01", "+trainer.gradient_clip_algorithm=value"],
    "batches accumulated": ["trainer.accumulate_grad_batches=3", "trainer.log_every_n_steps=2"],
    "points within the epoch": ["trainer.log_every_n_steps=7"],
    "seldom validated": ["trainer.check_val_every_n_epoch=2"],
    "overfitting": ["+trainer.overfit_batches=3"],
    "l1": ["regularization.l1=0.001"],
    "norms and biases spared": ["regularization.skip_norm_and_bias=true", "regularization.l1=0.001",
                                "optimizer=adamw", "optimizer.weight_decay=0.3", "model.norm=layer"],
    "no checkpoint": ["callbacks=none"],
}  # fmt: skip


def test_runs_together_leave_what_they_leave_alone(tmp_path: Path) -> None:
    others = (["optimizer.lr=0.01"], ["seed=1"], ["model.dropout=0.5"], ["model.dropout=0", "seed=1"])
    made = equal(tmp_path, cells([DOUBLE, "model.width=16", "model.dropout=0.2"], *others))
    assert all(
        {file.name for file in directory.iterdir()} >= {"metrics.jsonl", "result.json", "environment.json"}
        and len([*directory.glob("events.out.tfevents.*")]) == 1
        and (directory / "checkpoints" / "best.ckpt").is_file()
        for directory in made
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_equal_after_200_steps(tmp_path: Path, name: str) -> None:
    equal(tmp_path, cells([DOUBLE, *MODELS[name], "trainer.max_epochs=10"], *OTHERS))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_equal_after_200_steps(tmp_path: Path, name: str) -> None:
    equal(tmp_path, cells([DOUBLE, f"optimizer={name}", "trainer.max_epochs=10"], ["seed=1"], *OPTIMIZERS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_is_equal_after_200_steps(tmp_path: Path, name: str) -> None:
    equal(tmp_path, cells([DOUBLE, f"scheduler={name}", "trainer.max_epochs=10"], *OTHERS, *SCHEDULERS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_equal(tmp_path: Path, name: str) -> None:
    base, others = LOSSES[name]
    equal(tmp_path, cells([DOUBLE, *base], *OTHERS, *others))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_what_else_decides_numbers_is_equal(tmp_path: Path, name: str) -> None:
    equal(tmp_path, cells([DOUBLE, "model.width=16", *TRAINERS[name]], *OTHERS))


# Training magnifies rounding, by up to 1e5 where a gradient is noise that an optimizer makes a step of: of double
# precision that leaves ten digits on any machine.
WHOLE = {
    "default": [],
    "mlp": ["seed=1"],
    "mlp with dropout": ["model.dropout=0.1"],
    "mlp with layer norm": ["model.norm=layer"],
    "linear": ["model=linear"],
    "cnn": ["model=cnn", "model.width=8"],
    "transformer": [*TEXT, "model.dropout=0.1"],
    **{name: [f"optimizer={name}"] for name in ("adagrad", "adamw", "nadam", "rmsprop")},
    "sgd": ["optimizer=sgd", "optimizer.lr=0.03"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", telling(WHOLE, "mlp with dropout", "cnn", "transformer", "sgd"))
def test_a_whole_run_is_equal(tmp_path: Path, name: str) -> None:
    base = [DOUBLE, *WHOLE[name], "trainer.max_epochs=30"]
    (one,), both = (cells(base, *others) for others in ((), (["optimizer.lr=0.01"],)))
    (first,), (second, _) = alone(tmp_path, [one]), together(tmp_path, both)
    assert off(first, second) < 1e-8
    assert result(first)["best_epoch"] == result(second)["best_epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("name", telling([["seed=0"], ["model=cnn", "model.width=8"]], ["seed=0"]), ids=" ".join)
def test_in_single_precision_a_group_is_as_far_from_a_run_alone_as_that_is_from_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: list[str]
) -> None:
    (one,), both = (cells([*name, "trainer.max_epochs=30"], *others) for others in ((), (["optimizer.lr=0.01"],)))
    (first,), (second, _) = alone(tmp_path, [one]), together(tmp_path, both)
    found = []
    for number in range(8):
        monkeypatch.setattr(import_module("gridstorm.run.run"), "network_for", partial(a_rounding_away, number))
        [moved] = alone(tmp_path / f"{number}", [one])
        found.append(off(first, moved))
    assert 0 < off(first, second) < 10 * max(found)


def a_rounding_away(seed: int, composed: RunConfig, data: Any) -> nn.Module:
    """Return a network whose weights each have an error such as float32 makes."""
    network, draw = network_for(composed, data), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1 + torch.randn(parameter.shape, generator=draw) * torch.finfo().eps)
    return network


def interrupted(directories: Sequence[Path], epoch: int) -> None:
    """Make of runs of more epochs what a kill after this epoch leaves; they were trained no further."""
    for directory in directories:
        (directory / "result.json").unlink()
        config = (directory / "config.yaml").read_text()
        (directory / "config.yaml").write_text(config.replace(f"max_epochs: {epoch}", "max_epochs: 4"))


HARD = [DOUBLE, "model.width=16", "model.dropout=0.2", "scheduler=plateau", "scheduler.patience=0", "optimizer=adamw"]


@pytest.mark.parametrize("first", ["alone", "together"])
def test_a_group_goes_on_from_runs_alone_and_runs_alone_from_a_group(tmp_path: Path, first: str) -> None:
    whole = alone(tmp_path / "whole", cells([*HARD, "trainer.max_epochs=4"], *OTHERS))
    half = (alone if first == "alone" else together)(tmp_path, cells([*HARD, "trainer.max_epochs=2"], *OTHERS))
    interrupted(half, 2)
    for directory in half if first == "together" else ():
        train(RunRecord(directory).config, lambda directory=directory: RunRecord(directory), alone=False)  # type: ignore[misc]
    if first == "alone":
        train_together([RunRecord(directory) for directory in half])
    for one, two in zip(whole, half, strict=True):
        assert off(one, two, ("",)) < (1e-10 if first == "alone" else RESUMED_ALONE)
        assert result(two)["epochs"] == 4


def test_a_group_goes_on_from_a_group_and_runs_at_other_epochs_are_groups_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = alone(tmp_path / "whole", cells([*HARD, "trainer.max_epochs=4"], *OTHERS, ["seed=2"]))
    early = together(tmp_path / "early", cells([*HARD, "trainer.max_epochs=1"], OTHERS[0]))
    late = together(tmp_path / "late", cells([*HARD, "trainer.max_epochs=2"], *OTHERS, ["seed=2"]))[2:]
    interrupted(early, 1)
    interrupted(late, 2)
    sizes: list[int] = []
    fit = fused.fit

    def count(group: Sequence[RunRecord]) -> None:
        sizes.append(len(group))
        fit(group)

    monkeypatch.setattr(fused, "fit", count)
    train_together([RunRecord(directory) for directory in (*late, *early)])
    assert sizes == [2, 2]
    assert all(off(one, two, ("",)) < 1e-10 for one, two in zip(whole, (*early, *late), strict=True))


def test_runs_that_diverge_stop_early_or_are_stopped_leave_and_the_others_do_not_feel_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = [DOUBLE, "model.width=16", "model.dropout=0.1", "optimizer=sgd", "optimizer.lr=0.01", "trainer.max_epochs=4"]
    stopping = [*base, "callbacks=early_stopping", "callbacks.early_stopping.patience=1"]
    kept = [composed(*stopping), composed(*stopping, "seed=1")]
    leaving = [
        composed(*stopping, "optimizer.lr=1e100"),
        composed(*stopping, "callbacks.early_stopping.min_delta=10", "seed=2"),
        composed(*stopping, "seed=3"),
    ]
    undisturbed = together(tmp_path / "two", kept)
    records = [
        record(tmp_path, f"{number}", one) for number, one in enumerate((leaving[0], kept[0], *leaving[1:], kept[1]))
    ]
    begin = Group.on_train_epoch_start

    def ask(group: Group) -> None:
        begin(group)
        if group.current_epoch == 2:
            records[3].ask_to_stop("pruned")

    monkeypatch.setattr(Group, "on_train_epoch_start", ask)
    fused.fit(records)
    found = [result(one.directory) for one in records]
    assert [one["status"] for one in found] == ["diverged", "done", "done", "pruned", "done"]
    assert [one["epochs"] for one in found[1:]] == [4, 2, 3, 4]
    for one, two in zip(undisturbed, (records[1], records[4]), strict=True):
        assert rows(one) == rows(two.directory)
        assert apart(one, two.directory, "") == 0
    for number, one in zip((0, 2), alone(tmp_path / "leaving", leaving[:2]), strict=True):
        assert result(one)["status"] == found[number]["status"]
        assert [row["epoch"] for row in rows(one)] == [row["epoch"] for row in rows(records[number].directory)]
        assert math.isclose(result(one)["score"] or 0, found[number]["score"] or 0, rel_tol=1e-8)


def test_a_run_that_fails_fails_alone(tmp_path: Path) -> None:
    warm = ["scheduler=warmup_cosine", *SHORT]
    three = [*cells(warm, ["seed=1"]), composed(*warm, "scheduler.warmup_steps=100000")]
    records = [record(tmp_path, f"{number}", one) for number, one in enumerate(three)]
    train_together(records)
    assert [result(one.directory)["status"] for one in records] == ["done", "done", "failed"]
    assert "does not end within the run's" in result(records[2].directory)["error"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Reads", ".item()"),
        ("Branches", "data-dependent control flow"),
        ("Chooses", "nonzero"),
        ("Remembers", "random"),
    ],
)
def test_a_network_that_cannot_be_stacked_is_found_before_training(
    monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    reason = fusible(mine(monkeypatch, name))
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_ours_can_be_stacked(name: str) -> None:
    assert fusible(composed(*MODELS[name])) is None


@pytest.mark.parametrize("name", ["Plain", "IdleLayer", "DrawsMuch", "CountsItself"])
def test_a_network_of_the_user_is_equal_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    base = mine(monkeypatch, name, "model.dropout=0.1", "optimizer=adamw", "optimizer.weight_decay=0.3")
    assert fusible(base) is None
    other = mine(monkeypatch, name, "model.dropout=0.3", "optimizer=adamw", "optimizer.weight_decay=0.3", "seed=1")
    equal(tmp_path, [base, other])


def test_a_rate_that_is_used_otherwise_sends_the_runs_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [mine(monkeypatch, "UsesItsRate", f"model.dropout={rate}") for rate in (0.1, 0.3)]
    records = [record(tmp_path, f"{number}", one) for number, one in enumerate(both)]
    train_together(records)
    for one, two in zip(alone(tmp_path, both), records, strict=True):
        assert apart(one, two.directory, "") == 0


def test_a_group_of_one_is_a_run_alone(tmp_path: Path) -> None:
    one = composed(*SHORT)
    (first,) = alone(tmp_path, [one])
    second = record(tmp_path, "one", one)
    train_together([second])
    assert apart(first, second.directory, "") == 0
    shutil.rmtree(first)
    assert replace(one).signature == second.result.signature  # type: ignore[union-attr]
