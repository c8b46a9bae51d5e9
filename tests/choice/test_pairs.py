"""Every pair of choices: those that fit train, and those that do not are refused in words."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from conftest import ROOT, Compose, result, rows
from gridstorm.error import UserError
from gridstorm.run.run import run
from house import ALL, telling

GROUPS = {
    group: sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))
    for group in ("data", "model", "loss", "optimizer", "scheduler", "trainer", "callbacks")
}
OWN = ("loaders", "table", "images", "npz", "huggingface", "text_classification")  # tests/own and tests/prediction
GROUPS["data"] = [name for name in GROUPS["data"] if name not in OWN]
TASK = {
    "digits": "classification",
    "breast_cancer": "classification",
    "diabetes": "regression",
    "python_text": "text",
    "text": "text",
}
LOSSES = {
    "classification": {"cross_entropy", "focal"},
    "regression": {"mse", "huber", "l1"},
    "text": {"cross_entropy", "focal"},
}
MODELS = {
    "digits": {"linear", "mlp", "cnn", "resnet"},
    "breast_cancer": {"linear", "mlp", "tabular"},
    "diabetes": {"linear", "mlp", "tabular"},
    "python_text": {"transformer"},
    "text": {"transformer"},
}
TINY = {
    "transformer": ("model.depth=1", "model.width=16", "model.heads=2"),
    "cnn": ("model.width=4",),
    "tabular": ("model.width=8",),
    "resnet": ("model.width=4", "model.blocks=1"),
}


def pairs() -> Iterator[dict[str, str]]:
    """Yield every pair of choices of two groups, completed to a whole configuration that fits if one does."""
    for one, two in itertools.combinations(GROUPS, 2):
        for first, second in itertools.product(GROUPS[one], GROUPS[two]):
            yield completed({one: first, two: second})


def completed(pair: dict[str, str]) -> dict[str, str]:
    """Add the data, the model and the loss that fit the pair, where any do."""
    for data, model, loss in itertools.product(
        ["digits", "diabetes", "python_text", "breast_cancer", "text"],
        ["mlp", "cnn", "transformer", "linear", "tabular", "resnet"],
        GROUPS["loss"],
    ):
        whole = {"data": data, "model": model, "loss": loss}
        if all(whole.get(group, choice) == choice for group, choice in pair.items()) and fits(whole):
            return {**whole, **pair}
    return {"data": "digits", "model": "mlp", "loss": "cross_entropy", **pair}


def fits(whole: dict[str, str]) -> bool:
    """Tell whether the data, the model and the loss fit, by the tables above."""
    return whole["model"] in MODELS[whole["data"]] and whole["loss"] in LOSSES[TASK[whole["data"]]]


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text long enough to be split in three."""
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("To be, or not to be, that is the question. " * 200)
    return file


WHOLE = list({tuple(sorted(pair.items())): pair for pair in pairs()}.values())
FITTING = [whole for whole in WHOLE if fits(whole)]
UNFITTING = [whole for whole in WHOLE if not fits(whole)]


def overrides(whole: dict[str, str], text_file: Path, directory: Path) -> list[str]:
    """Return a command line for one batch of a small model; `debug` in all but its name for the other trainers."""
    choices = [f"{group}={choice}" for group, choice in whole.items()]
    few = ["trainer.max_epochs=1"] if "trainer" in whole else ["trainer=debug"]
    if "trainer" in whole:
        few += [f"trainer.limit_{part}_batches=1" for part in ("train", "val", "test")]
    data = [f"data.path={text_file}"] if whole["data"] == "text" else []
    short = ["data.context=16"] if TASK[whole["data"]] == "text" else []
    return [*choices, *few, *data, *short, *TINY.get(whole["model"], ()), f"output_dir={directory}"]


@pytest.mark.slow
def test_every_pair_that_fits_trains(composed: Compose, text_file: Path, tmp_path: Path) -> None:
    assert len(FITTING) > 300
    for number, whole in enumerate(FITTING if ALL else FITTING[::3]):
        directory = tmp_path / str(number)
        if whole.get("trainer") == "ddp" or (whole.get("trainer") == "gpu" and not torch.cuda.is_available()):
            continue  # ddp is trained below, in processes of its own; a GPU is refused where there is none
        run(composed(*overrides(whole, text_file, directory)))
        (made,) = directory.iterdir()
        assert result(made)["status"] == "done", whole


def test_every_pair_that_does_not_fit_is_refused_in_words(composed: Compose, text_file: Path, tmp_path: Path) -> None:
    assert len(UNFITTING) > 10
    for whole in UNFITTING:
        with pytest.raises(UserError) as refusal:
            composed(*overrides(whole, text_file, tmp_path))
        words = str(refusal.value)
        assert f"It does not fit data={whole['data']}" in words, whole
        assert "Choose one that does: " in words, whole


@pytest.mark.slow
@pytest.mark.parametrize("door", telling([["train.py"], ["-m", "gridstorm", "train"]], ["-m", "gridstorm", "train"]))
def test_two_processes_train_one_model_and_leave_one_record(tmp_path: Path, door: list[str]) -> None:
    command = [sys.executable, *door, "trainer=ddp", "trainer.accelerator=cpu", f"output_dir={tmp_path}"]
    done = subprocess.run([*command, "trainer.max_epochs=3"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.iterdir()
    assert result(made)["status"] == "done"
    assert [row["epoch"] for row in rows(made)] == [1, 2, 3]
    assert rows(made)[0]["samples"] == 1258
    assert done.stdout.count("Hyperparameters: what you set") == 1
