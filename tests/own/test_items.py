"""What a practitioner tried with their own work, item by item: it works, or is refused in words that are right."""

import math
from pathlib import Path

import pytest

from conftest import Command, Train, result

DATA = """
import torch
from gridstorm.data import TensorData
from gridstorm.data.digits import _load


class Same(TensorData):
    task, inputs, input_shape, num_outputs = "regression", "image", (1, 8, 8), 64

    def load(self):
        return _load()[0], _load()[0].flatten(1)


class Dicts(TensorData):
    task, inputs, input_shape, num_outputs = "classification", "image", (1, 8, 8), 10

    def load(self):
        return {"one": _load()[0]}, _load()[1]


class Missing(TensorData):
    task, inputs, input_shape, num_outputs = "classification", "image", (1, 8, 8), 10

    def load(self):
        import a_package_that_is_not_there


class Pairs(TensorData):
    task, inputs, input_shape, num_outputs = "classification", "image", (2, 1, 8, 8), 10

    def load(self):
        return torch.stack([_load()[0]] * 2, 1), _load()[1]


class Net(torch.nn.Module):
    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.layer = torch.nn.Linear(in_features, out_features)

    def forward(self, x):
        return self.layer(x.flatten(1))


class Codes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 16)

    def forward(self, x):
        return self.layer(x.flatten(2))
"""
NET = ("model=workbench.items.Net", "model.in_features=64", "model.out_features=10")
SHORT = ("trainer.max_epochs=1",)


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of one's own beside the run."""
    package = tmp_path / "workbench"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "items.py").write_text(DATA)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRIDSTORM_ALLOW", "workbench,nowhere")


@pytest.mark.parametrize("standardize", ["true", "false"])
def test_an_autoencoder_as_a_regression_of_all_pixels(train: Train, standardize: str) -> None:
    run = train("data=workbench.items.Same", "loss=mse", f"data.standardize={standardize}", *SHORT)
    assert all(math.isfinite(result(run)["metrics"][f"test/{name}"]) for name in ("loss", "rmse", "r2"))


def test_a_network_that_takes_sizes_of_its_own(train: Train) -> None:
    assert result(train(*NET, *SHORT))["status"] == "done"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("data=workbench.items.Dicts",), "data=workbench.items.Dicts: workbench.items.Dicts raised KeyError"),
        (
            ("data=workbench.items.Missing",),
            "raised ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
        ),
        (
            ("data=workbench.items.Pairs", "model=workbench.items.Codes"),
            "The predictions are [2, 2, 16] and the targets [2], and",
        ),
        (("model=workbench.items.Net",), "model.in_features: It must be given, and has no default."),
        ((*NET, "model.in_feature=3"), "Did you mean 'model.in_features'?"),
        (("model=workbench.items.Nett",), "workbench.items has no class Nett. Did you mean 'Net'?"),
        (("model=workbench.itmes.Net",), "workbench has no module itmes."),
        (("model=nowhere.net.Net",), "nowhere cannot be found. Is it installed, or its folder on PYTHONPATH?"),
        (("optimizer=lion_pytorch.Lion",), "If you trust lion_pytorch, allow it: GRIDSTORM_ALLOW=lion_pytorch"),
        (("metric=f1", "monitor=val/f1"), "mode=min: val/f1 is better when it is larger. Write mode=max."),
        (("metric=f2",), "There is no metric called 'f2'. Choose one of: auroc,"),
        (("data=/path/customers.csv",), "data=/path/customers.csv"),
    ],
)
def test_what_cannot_be_is_refused_in_words_that_are_right(
    command: Command, tmp_path: Path, overrides: tuple[str, ...], words: str
) -> None:
    status, _, err = command(*overrides)
    assert (status, words in err) == (2, True), err
    assert not (tmp_path / "outputs").exists()


def test_a_key_that_the_class_takes_and_its_section_does_not_list_is_written_with_a_plus(command: Command) -> None:
    status, _, err = command("data._target_=workbench.items.Pairs", "~data.batch_size", "data.batch_size=16")
    assert status == 2
    assert "Write +data.batch_size=16." in err
