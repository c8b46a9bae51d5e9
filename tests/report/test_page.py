"""TensorBoard, started on a folder of runs as it is, shows them: asked over its HTTP API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Compose, result, rows
from gridstorm.run.run import run
from tensorboard_server import Server, tensorboard

FEW = ("trainer.max_epochs=3", "trainer.limit_train_batches=5")
SMALL_TEXT = (
    "data=python_text",
    "model=transformer",
    "model.depth=1",
    "model.width=16",
    "model.heads=2",
    "data.context=32",
)
RUNS = {
    "digits": ("model=cnn", *FEW),
    "cancer": ("data=breast_cancer", "optimizer=sgd", "optimizer.lr=0.1", *FEW),
    "diabetes": ("data=diabetes", "loss=mse", *FEW),
    "text": (*SMALL_TEXT, "trainer.max_epochs=2", "trainer.limit_train_batches=3"),
    "diverged": ("optimizer=sgd", "optimizer.lr=1e12", *FEW),
}


@pytest.fixture(scope="module")
def outputs(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: one of each kind of task, one that diverged, one that was interrupted."""
    parent = tmp_path_factory.mktemp("board") / "outputs"
    for name, overrides in RUNS.items():
        run(composed(f"output_dir={parent}", f"name={name}", *overrides))
    interrupted = parent / "interrupted"
    run(composed(f"output_dir={parent}", "name=interrupted", *FEW))
    (interrupted / "result.json").unlink()
    run(composed(f"resume={interrupted}"))
    return parent


@pytest.fixture(scope="module")
def server(outputs: Path) -> Iterator[Server]:
    """The real server on that folder."""
    with tensorboard(outputs) as board:
        yield board


def test_every_run_has_a_legible_name(server: Server) -> None:
    assert sorted(server.get("data/runs")) == sorted([*RUNS, "interrupted"])


def test_each_quantity_has_one_tag(server: Server) -> None:
    tags = server.get("data/plugin/scalars/tags")
    classification = {f"{part}/{name}" for part in ("train", "val", "test") for name in ("loss", "accuracy")}
    always = {"lr", "opt/grad_norm", "opt/weight_norm", "best/loss", "fit/ok", "fit/params", "fit/seconds"}
    assert set(tags["digits"]) == classification | always
    regression = {f"{part}/{name}" for part in ("train", "val", "test") for name in ("loss", "rmse", "r2")}
    assert set(tags["diabetes"]) == regression | always
    text = {f"{part}/{name}" for part in ("train", "val", "test") for name in ("loss", "perplexity", "bits_per_byte")}
    assert set(tags["text"]) == text | always
    assert not {"hp_metric", "epoch"} & {tag for run in tags.values() for tag in run}


def test_curves_stand_against_the_samples_seen(server: Server, outputs: Path) -> None:
    shown = server.scalars("digits", "val/loss")
    points = rows(outputs / "digits")
    assert [step for step, _ in shown] == [320, 640, 960]
    assert [value for _, value in shown] == pytest.approx([point["val/loss"] for point in points])


def test_a_run_that_went_on_shows_every_point_once(server: Server) -> None:
    assert [step for step, _ in server.scalars("interrupted", "train/loss")] == [320, 640, 960]


def test_the_configuration_and_the_command_are_there_as_text(server: Server) -> None:
    text = server.text("digits", "config")
    assert "gridstorm train" in text
    assert "model=cnn" in text
    assert "_target_: torch.optim.Adam" in text


def test_the_language_models_own_text_is_there(server: Server) -> None:
    assert "After" in server.text("text", "samples")


def test_pictures_show_what_a_model_gets_wrong(server: Server) -> None:
    tags = server.get("data/plugin/images/tags")
    assert set(tags["digits"]) == {"test/confusion matrix", "test/mistakes"}
    assert set(tags["cancer"]) == {"test/confusion matrix"}
    assert set(tags["diabetes"]) == {"test/predicted against true"}


def test_training_and_validation_share_a_chart(server: Server) -> None:
    layout = server.get("data/plugin/custom_scalars/layout")
    charts = {
        chart["title"]: chart["multiline"]["tag"] for category in layout["category"] for chart in category["chart"]
    }
    assert set(charts) == {"loss", "accuracy", "rmse", "r2", "perplexity", "bits_per_byte"}
    assert charts["loss"] == ["train/loss$", "val/loss$"]


def test_hyperparameters_have_their_real_types(server: Server) -> None:
    types = {info["name"]: info["type"] for info in server.experiment()["hparamInfos"]}
    assert types["optimizer.lr"] == types["data.batch_size"] == "DATA_TYPE_FLOAT64"
    assert types["data.standardize"] == types["regularization.skip_norm_and_bias"] == "DATA_TYPE_BOOL"
    assert types["model"] == types["optimizer"] == "DATA_TYPE_STRING"
    assert not [name for name in types if name.rpartition(".")[2] == "seed" or "_target_" in name]


def test_the_status_of_a_run_is_the_true_one(server: Server, outputs: Path) -> None:
    statuses = {}
    for group in server.session_groups().values():
        (session,) = group["sessions"]
        statuses[session["name"]] = session["status"]
    assert statuses.pop("diverged") == "STATUS_FAILURE"
    assert set(statuses) == {*RUNS, "interrupted"} - {"diverged"}
    assert set(statuses.values()) == {"STATUS_SUCCESS"}
    assert [value for _, value in server.scalars("diverged", "fit/ok")] == [0.0]
    assert result(outputs / "diverged")["status"] == "diverged"
