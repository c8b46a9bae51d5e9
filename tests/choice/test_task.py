"""What is learned: six kinds of task, asked for or seen in the first batch, with our own module."""

from pathlib import Path

import pytest
import torch
from sklearn.metrics import r2_score

from conftest import Command, Compose, Sweep, Train, result, rows
from gridstorm.config import METRICS, metrics

SETS = "stranger.sets."
SHORT = ("trainer.max_epochs=2", "data.batch_size=32")
KINDS = {  # the data of a stranger, what fits them, and what they are seen to be
    "classification": ("Images",),
    "multilabel": ("Labels", "loss=bce"),
    "regression": ("Several", "loss=mse"),
    "segmentation": ("Masks", "model=stranger.sets.Pixelwise"),
    "reconstruction": ("Denoising", "loss=mse", "model.width=16"),
    "language_modelling": ("Tokens", "model=transformer", "model.width=16", "model.depth=1"),
}


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")


def of(task: str, *others: str) -> tuple[str, ...]:
    """The overrides for a task, which they do not name."""
    kind, *fitting = KINDS[task]
    sets = (f"data.train._target_={SETS}{kind}", f"data.val._target_={SETS}{kind}", "+data.val.first=96")
    test = f"data.test={{_target_:{SETS}{kind},first:140}}"
    return ("data=loaders", *sets, test, *fitting, *SHORT, *others)


@pytest.mark.parametrize("task", KINDS)
def test_it_is_seen_in_the_first_batch_and_logs_its_metrics_for_each_part(
    task: str, command: Command, tmp_path: Path
) -> None:
    status, out, err = command(*of(task), "output_dir=o", "name=run")
    assert status == 0, err
    assert f"Task: {task} (as their first batch shows)" in out
    logged = {name for row in rows(tmp_path / "o" / "run") for name in row}
    known = {*METRICS[task]} - {"bits_per_byte"}  # nobody says how many bytes a stranger's token has
    assert {f"{part}/{name}" for part in ("train", "val") for name in known} <= logged
    assert {f"test/{name}" for name in known} <= result(tmp_path / "o" / "run")["metrics"].keys()
    assert "val/bits_per_byte" not in logged


@pytest.mark.parametrize("task", KINDS)
def test_it_learns(task: str, train: Train) -> None:
    points = [
        row["val/loss"]
        for row in rows(train(*of(task, "trainer.max_epochs=8", "optimizer.lr=0.01")))
        if "val/loss" in row
    ]
    assert points[-1] < points[0]


def predictions(run: Path, composed: Compose, *overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What a run's last weights say of its validation part, and the targets."""
    from gridstorm.objects.build import module_for, network_for
    from gridstorm.objects.data import prepared

    config = composed(*overrides)
    data = prepared(config)
    module = module_for(config, network_for(config, data), data).eval()
    module.load_state_dict(torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    pairs = [(module(x).detach(), y) for x, y in data.val_dataloader()]
    logits, y = (torch.cat(part) for part in zip(*pairs, strict=True))
    return logits, y


@pytest.mark.parametrize(
    ("task", "metric"), [("multilabel", "f1"), ("segmentation", "torchmetrics.classification.MultilabelF1Score")]
)
def test_a_metric_of_another_task_is_refused_with_the_one_that_fits(command: Command, task: str, metric: str) -> None:
    status, _, err = command(*of(task, f"metric={metric}"))
    assert status == 2
    assert f"does not fit {task}. Choose the one of all tasks: metric=torchmetrics.F1Score." in err


def last(run: Path, name: str) -> float:
    """The last value of a metric."""
    return float([row[name] for row in rows(run) if name in row][-1])


def test_r2_and_rmse_of_several_numbers_are_those_of_scikit_learn(train: Train, composed: Compose) -> None:
    run = train(*of("regression"))
    logits, y = predictions(run, composed, *of("regression"))
    assert last(run, "val/r2") == pytest.approx(r2_score(y, logits), rel=1e-4)
    assert last(run, "val/rmse") == pytest.approx(float((logits - y).square().mean().sqrt()), rel=1e-4)


def test_units_of_several_numbers_count_each_for_its_own_target() -> None:
    found = metrics("regression", [0.0, [0.04, 0.01], [0.0, 1.0], [0.1, 1.1]], unit=[10.0, 100.0])
    assert found["rmse"] == pytest.approx(((0.04 * 100 + 0.01 * 10_000) / 2) ** 0.5)
    assert found["r2"] == pytest.approx(((1 - 0.4) + (1 - 0.1)) / 2)


def test_of_several_labels_each_counts(train: Train, composed: Compose) -> None:
    run = train(*of("multilabel"))
    logits, y = predictions(run, composed, *of("multilabel"))
    assert last(run, "val/accuracy") == pytest.approx(float(((logits > 0) == (y == 1)).float().mean()), rel=1e-6)


def test_places_that_do_not_count_are_left_out_of_the_accuracy(train: Train, composed: Compose) -> None:
    run = train(*of("segmentation"))
    logits, y = predictions(run, composed, *of("segmentation"))
    counted = y != -100
    right = (logits.argmax(1) == y)[counted].float().mean()
    assert last(run, "val/accuracy") == pytest.approx(float(right), rel=1e-6)


def test_metrics_of_torchmetrics_fit_labels_and_places(train: Train) -> None:
    labels = train(*of("multilabel", "metric=torchmetrics.F1Score"))
    assert 0 <= last(labels, "val/f1_score") <= 1
    places = train(*of("segmentation", "metric=torchmetrics.JaccardIndex", "+metric.jaccard_index.ignore_index=-100"))
    assert 0 <= last(places, "val/jaccard_index") <= 1


@pytest.mark.parametrize("task", ["reconstruction", "multilabel", "regression"])
def test_runs_that_are_trained_together_have_the_numbers_of_runs_alone(task: str, sweep: Sweep) -> None:
    line = {
        "reconstruction": ("data=digits", "task=reconstruction", "loss=mse", "model.width=16"),
        "multilabel": ("data=stranger.memory.Labels", "loss=bce"),
        "regression": ("data=stranger.memory.Several", "loss=mse"),
    }[task]
    grid = (*line, "optimizer.lr=0.01,0.001", "trainer.precision=64-true", "data.seed=1,2", "trainer.max_epochs=2")
    fused, apart = (sweep(*grid, f"sweep.fuse={fuse}", "launcher=in_process", name=f"f{fuse}") for fuse in ("4", "off"))
    assert fused.status == 0, fused.err
    assert "trained together" in sweep(*grid, "sweep.fuse=4", "sweep.dry_run=true", name="plan").out
    for one, two in zip(fused.runs, apart.runs, strict=True):
        first, second = ([{n: row[n] for n in row if n.startswith("val/")} for row in rows(run)] for run in (one, two))
        assert [*map(pytest.approx, second)] == first


def test_the_input_is_the_target_of_a_reconstruction_whatever_the_data_are_labelled_with(train: Train) -> None:
    run = train("task=reconstruction", "loss=mse", "trainer.max_epochs=3")
    assert last(run, "val/rmse") < 1
    assert "val/accuracy" not in rows(run)[-1]


def test_a_task_that_is_asked_for_is_another_recipe_and_one_left_to_the_data_is_the_old_one(composed: Compose) -> None:
    plain = composed("model=mlp")
    assert "task" not in plain.recipe
    assert plain.signature != composed("task=classification").signature
