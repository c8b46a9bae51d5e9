"""A run, from its configuration to its record."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Compose, Train, result, rows
from gridstorm.error import UserError
from gridstorm.objects.build import network_for
from gridstorm.record.run import RunRecord
from gridstorm.run.run import run
from gridstorm.target.build import build

SHORT = ("trainer.max_epochs=3", "trainer.limit_train_batches=5")


@pytest.fixture(scope="module")
def directory(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the default configuration, cut short."""
    parent = tmp_path_factory.mktemp("runs")
    run(composed(f"output_dir={parent}", "name=first", *SHORT))
    return parent / "first"


def test_the_record_holds_all_there_is_to_know(directory: Path, composed: Compose) -> None:
    files = {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}
    events = {name for name in files if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert files - events == {
        ".lock", "config.yaml", "origin.json", "environment.json", "code.diff", "metrics.jsonl", "steps.jsonl",
        "layers.jsonl", "findings.json", "fitted.json", "result.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
    }  # fmt: skip
    outcome = result(directory)
    assert outcome["status"] == "done"
    assert outcome["signature"] == composed(*SHORT).signature
    assert outcome["parameters"] == 26_122
    assert outcome["monitor"] == "val/loss"
    assert outcome["score"] == pytest.approx(min(row["val/loss"] for row in rows(directory)))
    assert 1 <= outcome["best_epoch"] <= 3
    assert outcome["seconds"] > 0
    assert {"test/loss", "test/accuracy", "val/loss", "train/accuracy"} <= set(outcome["metrics"])


def test_the_environment_says_what_the_numbers_depend_on(directory: Path) -> None:
    environment = RunRecord(directory).environment
    assert set(environment) >= {"started", "commit", "python", "versions", "host", "device", "data", "cores"}
    assert environment["versions"]["torch"] == torch.__version__
    assert len(environment["data"]) == 64


def test_the_curves_have_a_point_at_each_epochs_end(directory: Path) -> None:
    points = rows(directory)
    assert [(point["epoch"], point["step"], point["samples"]) for point in points] == [
        (1, 5, 320),
        (2, 10, 640),
        (3, 15, 960),
    ]
    named = {
        "train/loss",
        "train/accuracy",
        "val/loss",
        "val/accuracy",
        "best/loss",
        "lr",
        "opt/grad_norm",
        "opt/weight_norm",
    }
    assert all(set(point) == {"step", "epoch", "samples", *named} for point in points)
    lowest = [min(point["val/loss"] for point in points[: number + 1]) for number in range(3)]
    assert [point["best/loss"] for point in points] == pytest.approx(lowest)


def test_a_checkpoint_holds_tensors_and_plain_configuration_only(directory: Path, composed: Compose) -> None:
    for name in ("best", "last"):
        saved = torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)
        asked = composed(*SHORT, f"output_dir={directory.parent}", "name=first")
        assert saved["gridstorm"]["config"] == asked.values
        whole = composed(*SHORT)
        network = network_for(whole, build(whole.values["data"]))
        weights = {key.removeprefix("network."): tensor for key, tensor in saved["state_dict"].items()}
        network.load_state_dict(weights)


def test_a_long_epoch_has_points_within(train: Train) -> None:
    points = rows(train("trainer.max_epochs=1", "trainer.log_every_n_steps=8"))
    assert [point["step"] for point in points] == [8, 16, 20]
    assert ["val/loss" in point for point in points] == [False, False, True]


def test_names_never_collide_also_when_runs_start_in_the_same_moment(composed: Compose, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    one = composed()
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: RunRecord.create(tmp_path, "same", one, "python train.py").directory.name, range(24))
        )
    assert sorted(made, key=lambda name: (len(name), name)) == ["same", *(f"same-{number}" for number in range(2, 25))]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"), "optimizer: Nesterov"),
        (("scheduler=warmup_cosine", "scheduler.warmup_steps=100000"), "scheduler.warmup_steps=100000"),
        (("data=text", "model=transformer", "data.path=nowhere.txt"), "nowhere.txt"),
        (("data=python_text", "model=transformer", "model.heads=5", "trainer=debug"), "model.heads=5"),
        (("trainer=gpu",), "pytorch_lightning.Trainer: It cannot be built: MisconfigurationException"),
    ],
)
def test_what_only_building_shows_is_refused_in_words_and_leaves_nothing(
    composed: Compose, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    if overrides == ("trainer=gpu",) and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError) as refusal:
        run(composed(f"output_dir={tmp_path}", *overrides))
    assert words in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_explain_prints_a_model_of_any_size_without_allocating_it(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(composed(f"output_dir={tmp_path}", "explain=true", "model.width=1000000", "model.depth=3"))
    shown = capsys.readouterr().out
    assert "hidden2.linear (Linear)  W 1000000x1000000  b 1000000  1,000,001,000,000" in shown
    assert "model.width                        1000000        command line" in shown
    assert not list(tmp_path.iterdir())


def test_the_card_and_the_last_lines_frame_a_run(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    made = train(*SHORT)
    shown = capsys.readouterr().out
    assert shown.startswith("Hyperparameters: what you set\n")
    assert "Parameters: what training learns\n" in shown
    best, verdict, record, look = shown.strip().splitlines()[-4:]
    assert best.startswith("best val/loss ")
    assert verdict.startswith("verdict still_improving: ") and verdict.endswith("at a rate that falls to 0).")
    assert record == f"record  {made}"
    assert look == f"look    tensorboard --logdir {made.parent}"


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(train: Train) -> None:
    dropout = (*SHORT, "model.dropout=0.3")
    first, again, other = rows(train(*dropout)), rows(train(*dropout)), rows(train(*dropout, "seed=1"))
    assert first == again
    assert first != other


def test_a_diverged_run_says_so_and_is_over(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    made = train("optimizer=sgd", "optimizer.lr=1e12", "trainer.max_epochs=5")
    assert result(made)["status"] == "diverged"
    assert result(made)["epochs"] == 1
    assert "verdict not_finite: the training loss is NaN or infinite from step" in capsys.readouterr().out
    assert rows(made)[-1]["train/loss"] is None
    json.loads((made / "metrics.jsonl").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_language_model_that_diverged_has_a_result_too(train: Train) -> None:
    small = ("model.depth=1", "model.width=16", "model.heads=2", "data.context=16", "optimizer=sgd")
    few = ("trainer.max_epochs=2", "trainer.limit_train_batches=5", "trainer.limit_test_batches=1")
    made = train("data=python_text", "model=transformer", *small, *few, "optimizer.lr=1e30")
    assert result(made)["status"] == "diverged"
    assert result(made)["score"] is None


def test_early_stopping_ends_a_run_that_no_longer_improves(train: Train) -> None:
    made = train(
        "callbacks=early_stopping", "callbacks.early_stopping.patience=2", "optimizer.lr=0.03", "trainer.max_epochs=60"
    )
    outcome = result(made)
    assert outcome["epochs"] == outcome["best_epoch"] + 2 < 60


def test_without_callbacks_there_is_no_checkpoint_and_still_a_result(train: Train) -> None:
    made = train(*SHORT, "callbacks=none")
    assert not list((made / "checkpoints").iterdir())
    assert result(made)["status"] == "done"


def test_a_scheduler_counted_in_steps_is_given_the_real_number_of_steps(train: Train) -> None:
    few = ("trainer.log_every_n_steps=1", *SHORT, "optimizer.lr=0.1")
    rates = [row["lr"] for row in rows(train(*few, "scheduler=cosine"))]
    expected = [0.05 * (1 + torch.cos(torch.tensor(step / 15 * torch.pi)).item()) for step in range(15)]
    assert rates == pytest.approx(expected, abs=1e-6)
    by_epoch = [row["lr"] for row in rows(train(*few, "scheduler=exponential", "scheduler.gamma=0.5"))]
    assert by_epoch == pytest.approx([0.1] * 5 + [0.05] * 5 + [0.025] * 5)


def test_plateau_lowers_the_learning_rate_when_the_score_stops_improving(train: Train) -> None:
    made = train("scheduler=plateau", "scheduler.patience=0", "optimizer.lr=0.03", "trainer.max_epochs=12")
    points = rows(made)
    worse = [n for n in range(1, 12) if points[n]["val/loss"] > points[n - 1]["best/loss"]]
    assert worse
    assert points[worse[0]]["lr"] == pytest.approx(0.03)
    assert points[worse[0] + 1]["lr"] == pytest.approx(0.003)


def test_l1_and_weight_decay_shrink_the_weights(train: Train) -> None:
    def weight_norm(*overrides: str) -> float:
        return float(rows(train("trainer.max_epochs=5", "optimizer=adamw", *overrides))[-1]["opt/weight_norm"])

    plain = weight_norm("optimizer.weight_decay=0")
    assert weight_norm("optimizer.weight_decay=0", "regularization.l1=0.01") < 0.9 * plain
    assert weight_norm("optimizer.weight_decay=10") < 0.9 * plain


def test_regularization_leaves_norms_and_biases_alone_where_asked(composed: Compose) -> None:
    from gridstorm.module.optimizer import parameter_groups

    whole = composed("model=cnn")
    network = network_for(whole, build(whole.values["data"]))
    (everything,) = parameter_groups(network, skip_norm_and_bias=False)
    weights, spared = parameter_groups(network, skip_norm_and_bias=True)
    assert spared["weight_decay"] == 0.0
    assert all(parameter.dim() == 1 for parameter in spared["params"])
    assert all(parameter.dim() > 1 for parameter in weights["params"])
    assert len(everything["params"]) == len(weights["params"]) + len(spared["params"])


def test_gradients_are_clipped_where_asked(train: Train) -> None:
    points = rows(
        train(
            *SHORT,
            "trainer.gradient_clip_val=0.01",
            "optimizer=sgd",
            "optimizer.lr=1.0",
            "optimizer.momentum=0",
            "optimizer.nesterov=false",
        )
    )
    moved = abs(points[-1]["opt/weight_norm"] - points[0]["opt/weight_norm"])
    assert moved <= 10 * 0.01 * 1.0 + 1e-6


def test_overfit_sees_the_same_ten_batches_and_fits_them(train: Train) -> None:
    points = rows(train("trainer=overfit", "trainer.max_epochs=40"))
    assert points[0]["samples"] == 640
    assert points[-1]["train/loss"] < 0.01


def test_regression_reports_rmse_in_the_targets_own_unit(train: Train) -> None:
    metrics: dict[str, Any] = result(train("data=diabetes", "loss=mse", "model=linear", "trainer.max_epochs=100"))[
        "metrics"
    ]
    assert 45 < metrics["test/rmse"] < 65  # ridge regression reaches 58.6
    assert 0.3 < metrics["test/r2"] < 0.6


def test_perplexity_and_bits_per_byte_are_two_views_of_the_cross_entropy(train: Train) -> None:
    small = ("model.depth=1", "model.width=16", "model.heads=1", "data.context=32", "trainer=debug")
    metrics = result(train("data=python_text", "model=transformer", "loss.label_smoothing=0.1", *small))["metrics"]
    assert metrics["test/perplexity"] == pytest.approx(2 ** metrics["test/bits_per_byte"])
    assert metrics["test/bits_per_byte"] == pytest.approx(8, abs=1.0)


def test_another_lightning_logger_can_stand_beside_the_record(train: Train, tmp_path: Path) -> None:
    train(*SHORT, "+logger._target_=pytorch_lightning.loggers.CSVLogger", f"+logger.save_dir={tmp_path / 'csv'}")
    (file,) = (tmp_path / "csv").rglob("metrics.csv")
    assert len(file.read_text().splitlines()) == 5  # the names, a point within each epoch's end, and the test
