"""Lightning's loggers beside the record: each has the run's name, its folder, its hyperparameters and all numbers."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Command, Sweep, Train, result, rows
from gridstorm.record import RunRecord

SHORT = ("trainer.max_epochs=2",)


def numbers(run: Path) -> list[dict[str, str]]:
    """The lines of Lightning's file of numbers."""
    with (run / "csv" / "metrics.csv").open() as opened:
        return [*csv.DictReader(opened)]


def test_lightnings_file_of_numbers_lies_in_the_runs_directory_with_hyperparameters_and_test(train: Train) -> None:
    run = train("logger=csv", "optimizer.lr=0.01", *SHORT)
    scores = [float(line["val/loss"]) for line in numbers(run) if line["val/loss"]]
    assert scores == pytest.approx([row["val/loss"] for row in rows(run)])
    assert float(numbers(run)[-1]["test/loss"]) == pytest.approx(result(run)["metrics"]["test/loss"])
    told = yaml.safe_load((run / "csv" / "hparams.yaml").read_text())
    assert (told["optimizer"], told["optimizer.lr"], told["model"]) == ("adam", 0.01, "mlp")


def test_several_stand_beside_one_another_and_any_class_of_lightning_is_one(train: Train) -> None:
    run = train("logger=[csv,pytorch_lightning.loggers.TensorBoardLogger]", *SHORT)
    events = EventAccumulator(str(run / "tensor_board_logger"))
    events.Reload()
    assert [event.value for event in events.Scalars("val/loss")] == pytest.approx(
        [row["val/loss"] for row in rows(run)]
    )
    assert numbers(run)


def test_what_its_section_says_stands(train: Train, tmp_path: Path) -> None:
    train("logger=csv", f"+logger.csv.save_dir={tmp_path / 'mine'}", "+logger.csv.name=all", *SHORT)
    assert (tmp_path / "mine" / "all" / "metrics.csv").is_file()


def test_each_run_of_a_sweep_has_its_own_and_they_are_trained_apart(sweep: Sweep) -> None:
    line = ("logger=csv", "optimizer.lr=0.1,0.01", *SHORT)
    assert "trained apart, 2: logger watches one run" in sweep(*line, "sweep.fuse=2", "sweep.dry_run=true").out
    done = sweep(*line)
    assert done.status == 0, done.err
    for run in done.runs:
        scores = [float(line["val/loss"]) for line in numbers(run) if line["val/loss"]]
        assert scores == pytest.approx([row["val/loss"] for row in rows(run)])


def test_a_run_that_goes_on_has_all_points_there(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    monkeypatch.setenv("STRANGER_STOPS_AT", "1")
    stop = "+callbacks.stop._target_=stranger.modules.Stop"
    assert command("logger=csv", stop, "name=run", "trainer.max_epochs=3")[0] == 130
    monkeypatch.delenv("STRANGER_STOPS_AT")
    status, _, err = command("resume=outputs/run")
    assert status == 0, err
    run = tmp_path / "outputs" / "run"
    assert [int(line["epoch"]) for line in numbers(run) if line["val/loss"]] == [1, 2, 3]


def test_a_missing_package_is_refused_with_the_line_that_installs_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridstorm.config.check.find_spec", lambda name: None)
    for logger, package in (("mlflow", "mlflow-skinny"), ("wandb", "wandb")):
        status, _, err = command(f"logger={logger}")
        assert status == 2
        assert f"logger.{logger}: " in err
        assert f"needs a package that is not installed. pip install {package}" in err
    status, _, err = command("logger=pytorch_lightning.loggers.CometLogger")
    assert (status, "pip install comet-ml" in err) == (2, True), err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("logger=csvv", "There is no logger called 'csvv'. Did you mean 'csv'?"),
        ("logger=null", "Write logger=none."),
        ("logger=csv +logger.csv.save=x", "logger.csv.save=x: CSVLogger takes no 'save'."),
        ("+logger.mine._target_=subprocess.Popen", "Configuration may only build classes of gridstorm's choices"),
    ],
)
def test_what_is_no_logger_is_refused_in_words(command: Command, override: str, words: str) -> None:
    status, _, err = command(*override.split())
    assert (status, words in err) == (2, True), err


def test_one_that_cannot_be_made_leaves_no_run_behind(command: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    status, _, err = command("logger=csv", f"+logger.csv.save_dir={tmp_path / 'taken' / 'inside'}", *SHORT)
    assert status != 0, err
    assert "Traceback" not in err


def test_a_record_of_before_with_one_logger_is_read(train: Train) -> None:
    run = train(*SHORT)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["logger"] = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "logs"}
    (run / "config.yaml").write_text(yaml.dump(config))
    assert [*RunRecord(run).checked_config.values["logger"]] == ["logger"]


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore:.*deprecated")  # of MLflow's own ways with SQLAlchemy
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: ci/extras")
def test_mlflow_has_each_run_of_a_sweep_under_its_name(sweep: Sweep, command: Command, tmp_path: Path) -> None:
    import mlflow

    done = sweep("logger=mlflow", "optimizer.lr=0.1,0.01", *SHORT)
    assert done.status == 0, done.err
    client = mlflow.MlflowClient(f"sqlite:///{done.directory.parent / 'mlflow.db'}")
    [experiment] = [found for found in client.search_experiments() if found.name == done.directory.name]
    kept = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {*kept} == {run.name for run in done.runs}
    for run in done.runs:
        data: Any = kept[run.name].data
        assert data.params["optimizer.lr"] in ("0.1", "0.01")
        points = client.get_metric_history(kept[run.name].info.run_id, "val/loss")
        assert [point.value for point in points] == pytest.approx([row["val/loss"] for row in rows(run)])


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore:.*deprecated")  # of MLflow's own ways with SQLAlchemy
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: ci/extras")
def test_a_run_that_goes_on_is_the_same_one_in_mlflow(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("GRIDSTORM_ALLOW", "stranger")
    monkeypatch.setenv("STRANGER_STOPS_AT", "1")
    stop = "+callbacks.stop._target_=stranger.modules.Stop"
    status, _, err = command("logger=mlflow", stop, "name=run", "trainer.max_epochs=3")
    assert status == 130, err
    monkeypatch.delenv("STRANGER_STOPS_AT")
    assert command("resume=outputs/run")[0] == 0
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    [experiment] = [found for found in client.search_experiments() if found.name == "gridstorm"]
    [run] = client.search_runs([experiment.experiment_id])
    points = client.get_metric_history(run.info.run_id, "val/loss")
    assert [point.step for point in points] == [row["step"] for row in rows(tmp_path / "outputs" / "run")]


@pytest.mark.extra
@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed: ci/extras")
def test_wandb_keeps_each_run_of_a_process_apart_and_offline(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    done = sweep("logger=wandb", "optimizer.lr=0.1,0.01", "launcher=in_process", *SHORT)
    assert done.status == 0, done.err
    for run in done.runs:
        [kept] = run.glob("wandb/offline-run-*")
        assert [*kept.glob("run-*.wandb")]
