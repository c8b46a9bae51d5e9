"""Metrics of the user's choice, from torchmetrics."""

from pathlib import Path

import pytest
import torch
import torchmetrics
from sklearn.metrics import f1_score, mean_absolute_error

from conftest import Command, Compose, Sweep, Train, result, rows

SHORT = ("trainer.max_epochs=2", "trainer.limit_train_batches=5")
DIABETES = ("data=diabetes", "model=linear", "loss=mse")


def best_predictions(run: Path, composed: Compose, *overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The predictions and targets of a run's best weights for its test part."""
    from gridstorm.objects.build import network_for
    from gridstorm.objects.data import prepared

    config = composed(*overrides)
    data = prepared(config)
    network = network_for(config, data).eval()
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({name.removeprefix("network."): value for name, value in state.items()})
    x, y = (torch.cat(parts) for parts in zip(*data.test_dataloader(), strict=True))
    return network(x).detach(), y


def test_several_are_logged_for_validation_and_test_as_scikit_learn_has_them(train: Train, composed: Compose) -> None:
    line = ("metric=[f1,auroc]", "monitor=val/f1", "mode=max", *SHORT)
    run = train(*line)
    logits, y = best_predictions(run, composed, *line)
    found = result(run)["metrics"]
    assert found["test/f1"] == pytest.approx(f1_score(y, logits.argmax(-1), average="macro"), rel=1e-6)
    assert {"val/f1", "val/auroc", "test/auroc"} <= found.keys()
    assert result(run)["score"] == max(row["val/f1"] for row in rows(run) if "val/f1" in row)


def test_those_of_a_regression_are_in_the_unit_of_the_target(train: Train, composed: Compose) -> None:
    run = train(*DIABETES, "metric=mae", *SHORT)
    logits, y = best_predictions(run, composed, *DIABETES, "metric=mae", *SHORT)
    from gridstorm.objects import prepared

    data = prepared(composed(*DIABETES))
    truth, predicted = (values.squeeze() * data.target_std + data.target_mean for values in (y, logits))
    assert result(run)["metrics"]["test/mae"] == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-5)


def test_runs_that_are_trained_together_have_the_same_ones(sweep: Sweep) -> None:
    grid = ("metric=[f1,auroc]", "optimizer.lr=0.01,0.001", "trainer.precision=64-true", "data.seed=1,2", *SHORT)
    fused, apart = (sweep(*grid, f"sweep.fuse={fuse}", name=f"f{fuse}") for fuse in ("4", "off"))
    assert fused.status == 0, fused.err
    for one, two in zip(fused.runs, apart.runs, strict=True):
        first, second = ([{n: row[n] for n in row if n.startswith("val/")} for row in rows(run)] for run in (one, two))
        assert [*map(pytest.approx, second)] == first


def test_a_run_that_goes_on_has_the_same_ones(train: Train, command: Command) -> None:
    run = train("metric=f1", "trainer.max_epochs=3")
    before = rows(run)
    (run / "result.json").unlink()
    (run / "checkpoints" / "last.ckpt").unlink()  # it goes on from its start
    assert command(f"resume={run}")[0] == 0
    assert rows(run) == before


def test_a_class_is_a_choice_under_its_name(command: Command) -> None:
    status, out, err = command("metric=[f1,torchmetrics.classification.MulticlassCohenKappa]", *SHORT, "output_dir=o")
    assert (status, "test/multiclass_cohen_kappa" in out) == (0, True), err


def test_no_metric_of_ones_own_is_the_recipe_of_before(composed: Compose) -> None:
    assert "metric" not in composed().recipe
    assert composed("metric=f1").signature != composed().signature


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("metric=f3",), "There is no metric called 'f3'."),
        (("metric=f1", "monitor=val/f2"), "Did you mean 'val/f1'?"),
        (("metric=f1", "monitor=val/f1"), "mode=min: val/f1 is better when it is larger. Write mode=max."),
        (("metric=torchmetrics.F1Score", "monitor=val/f1_score"), "val/f1_score is better when it is larger."),
        (("metric=f1", "metric.f1.average=null"), "metric.f1: It gives 10 numbers, and a curve has one."),
        (("metric=mae",), "metric.mae: It does not fit what the model predicts"),
        (("metric=f1", "+metric.f1.num_classes=3"), "The run sets this itself."),
        (("+metric.x=3",), "metric.x=3: A metric is a section with a _target_."),
    ],
)
def test_what_is_wrong_is_said_before_it_trains(
    command: Command, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    status, _, err = command(*overrides, "output_dir=o", *SHORT)
    assert (status, words in err) == (2, True), err
    assert not (tmp_path / "o").exists()


def test_the_directions_of_the_choices_are_those_of_torchmetrics(composed: Compose) -> None:
    from gridstorm.module.metric import direction

    f1 = torchmetrics.classification.MulticlassF1Score(3)
    assert (direction("f1", f1), direction("mae", torchmetrics.MeanAbsoluteError())) == ("max", "min")
    assert direction("val_loss", 0.5) == "min"
    assert direction("mystery", 0.5) is None
