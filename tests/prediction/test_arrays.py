"""Arrays of one's own in an NPZ file."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import gridstorm
from gridstorm.data.npz import Npz
from gridstorm.prediction import predict
from gridstorm.record import RunRecord

OWN = """
import torch
from gridstorm.data import TensorData


class Waves(TensorData):
    task, inputs, input_shape, num_outputs = "classification", "table", (4,), 2

    def load(self):
        draw = torch.Generator().manual_seed(0)
        y = torch.arange(100) % 2
        return 100 + 30 * torch.randn(100, 4, generator=draw) + 9 * y[:, None], y
"""
DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(3, 2, (120, 5)).astype(np.float32)
CLASSES = (ROWS[:, 0] > 3).astype(np.int64)


def made(file: Path, **arrays: Any) -> Npz:
    np.savez(file, **arrays)
    data = Npz(str(file))
    data.setup()
    return data


@pytest.mark.parametrize(
    ("x", "inputs", "shape"),
    [
        (ROWS, "table", (5,)),
        (DRAW.integers(0, 255, (120, 8, 8), np.uint8), "image", (1, 8, 8)),
        (DRAW.integers(0, 255, (120, 8, 8, 3), np.uint8), "image", (3, 8, 8)),
        (DRAW.normal(0, 1, (120, 3, 8, 8)), "image", (3, 8, 8)),
    ],
)
def test_the_shape_tells_a_table_from_images(tmp_path: Path, x: Any, inputs: str, shape: tuple[int, ...]) -> None:
    data = made(tmp_path / "a.npz", x=x, y=CLASSES)
    assert (data.inputs, data.input_shape, data.task, data.num_outputs) == (inputs, shape, "classification", 2)
    train = data.parts["train"][0]
    assert train.mean().abs() < 1e-4 and (train.std(correction=0) - 1).abs() < 1e-2


@pytest.mark.parametrize(
    ("y", "task", "outputs"),
    [
        (CLASSES, "classification", 2),
        (CLASSES.astype(float), "classification", 2),
        (ROWS[:, 1], "regression", 1),
        (ROWS[:, 1:3], "regression", 2),
        (DRAW.integers(0, 2, (120, 3)), "multilabel", 3),
    ],
)
def test_the_targets_tell_what_is_learned(tmp_path: Path, y: Any, task: str, outputs: int) -> None:
    data = made(tmp_path / "a.npz", x=ROWS, y=y)
    assert (data.task, data.num_outputs) == (task, outputs)
    assert data.parts["train"][1].dtype == (torch.int64 if task == "classification" else torch.float32)


def test_arrays_of_parts_are_the_parts(tmp_path: Path) -> None:
    ends = {"train": slice(80), "val": slice(80, 100), "test": slice(100, 120)}
    arrays = {
        f"{name}_{part}": values[rows] for part, rows in ends.items() for name, values in (("x", ROWS), ("y", CLASSES))
    }
    data = made(tmp_path / "a.npz", **arrays)
    assert [len(data.parts[part][1]) for part in ("train", "val", "test")] == [80, 20, 20]


def test_a_class_of_ones_own_predicts_as_ours_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_waves.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRIDSTORM_ALLOW", "my_waves")
    given = ["data=my_waves.Waves", "model=mlp", "trainer.max_epochs=1", f"output_dir={tmp_path}", "name=run"]
    gridstorm.train(gridstorm.compose(*given))
    model = gridstorm.Run(tmp_path / "run").model()
    raw = torch.full((3, 4), 100.0)
    assert model.predict(raw.numpy())["prediction"].len() == 3  # type: ignore[operator]
    from gridstorm.objects import restored

    data = restored(gridstorm.Run(tmp_path / "run").config, tmp_path / "run")
    assert data.encode(raw).abs().max() < 5  # standardized, as in training


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": ROWS}, "no array 'y'"),
        ({"x": ROWS, "y": CLASSES[:50]}, "x has 120 samples, and y has 50"),
        ({"x": ROWS, "y": np.array(["a"] * 120)}, "no numbers"),
        ({"x": ROWS, "y": CLASSES - 1}, "Number classes from 0"),
        ({"x_train": ROWS, "y_train": CLASSES}, "no x_val"),
        ({"x": ROWS[:, 0], "y": CLASSES}, "Give a table"),
        ({"x": ROWS[:0], "y": CLASSES[:0]}, "'x' has no samples"),
        (
            {"x": ROWS, "y": np.where(np.arange(120) == 7, np.nan, CLASSES)},
            r"of .y. are not finite, .* \[7\]",
        ),
        ({"x": np.where(ROWS > 5, np.inf, ROWS), "y": CLASSES}, "of 'x' are not finite"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path: Path, arrays: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(tmp_path / "a.npz", **arrays)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npz.npy", np.array([print], dtype=object), allow_pickle=True)
    (tmp_path / "a.npz.npy").rename(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="no NPZ file of plain arrays"):
        Npz(str(tmp_path / "a.npz")).setup()


def test_an_array_is_trained_on_and_predicted_from(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=ROWS, y=CLASSES)
    given = [
        "data=npz",
        f"data.path={tmp_path / 'a.npz'}",
        "trainer.max_epochs=20",
        f"output_dir={tmp_path}",
        "name=run",
    ]
    gridstorm.train(gridstorm.compose(*given))
    (tmp_path / "a.npz").rename(tmp_path / "moved.npz")
    found = gridstorm.Run(tmp_path / "run").model().predict(ROWS)  # type: ignore[operator]
    predict(RunRecord(tmp_path / "run"), str(tmp_path / "moved.npz"), tmp_path / "found.parquet")
    assert pl.read_parquet(tmp_path / "found.parquet").equals(found)  # a file is scaled as an array is
    assert (found["prediction"].cast(int).to_numpy() == CLASSES).mean() > 0.9
