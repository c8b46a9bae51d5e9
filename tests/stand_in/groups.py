"""Runs that are trained alone and together, and how far apart they end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from composing import composed
from conftest import rows
from gridstorm.config.recipe import RunConfig
from gridstorm.fusion import training as fused
from gridstorm.record.run import RunRecord
from gridstorm.run.run import train

DOUBLE = "trainer.precision=64-true"
SHORT = ("trainer.max_epochs=3", "model.width=16")
TEXT = ("data=python_text", "model=transformer", "model.depth=1", "model.width=16", "model.heads=2",
        "data.context=16", "trainer.limit_train_batches=20", "trainer.limit_val_batches=5")  # fmt: skip
OTHERS = (["optimizer.lr=0.004"], ["seed=1"])
RESUMED_ALONE = 1e-6  # Lightning loads the weights of a run alone before it doubles their precision


def record(parent: Path, name: str, one: RunConfig) -> RunRecord:
    return RunRecord.create(parent, name, one, "")


def alone(parent: Path, cells: Sequence[RunConfig]) -> list[Path]:
    """Train runs one after another and return their directories."""
    records = [record(parent / "alone", f"{number}", one) for number, one in enumerate(cells)]
    for one in records:
        train(one.config, lambda one=one: one, alone=False)  # type: ignore[misc]
    return [one.directory for one in records]


def together(parent: Path, cells: Sequence[RunConfig]) -> list[Path]:
    """Train runs as one group and return their directories; what does not go together fails."""
    records = [record(parent / "together", f"{number}", one) for number, one in enumerate(cells)]
    fused.fit(records)
    return [one.directory for one in records]


def cells(base: Sequence[str], *others: Sequence[str]) -> list[RunConfig]:
    return [composed("trainer.max_epochs=3", *base, *other) for other in ((), *others)]


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict | list | tuple):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{key}/{name}")
    else:
        yield key, node


def checkpoint(directory: Path, name: str = "last") -> dict[str, Any]:
    loaded = torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return {key: value for key, value in leaves(loaded) if not key.endswith("/seconds")}


def apart(one: Path, two: Path, prefix: str = "/state_dict") -> float:
    """Return the largest difference of two runs' tensors; their checkpoints hold the same things."""
    first, second = checkpoint(one), checkpoint(two)
    assert first.keys() == second.keys()
    for key, value in first.items():
        if not isinstance(value, Tensor | float | str):
            assert value == second[key], key
    tensors = {key: value for key, value in first.items() if isinstance(value, Tensor) and key.startswith(prefix)}
    assert all(value.dtype == second[key].dtype and value.shape == second[key].shape for key, value in tensors.items())
    return max(float((value - second[key]).abs().max()) for key, value in tensors.items())


def off(one: Path, two: Path, names: Sequence[str] = ("train/", "val/")) -> float:
    """Return the largest relative difference of two runs' curves, which have the same points."""
    first, second = rows(one), rows(two)
    assert [[*row] for row in first] == [[*row] for row in second]
    pairs = [
        (value, other[name])
        for row, other in zip(first, second, strict=True)
        for name, value in row.items()
        if name.startswith(tuple(names))
    ]
    return max(float(abs(value - other) / max(abs(value), 1e-9)) for value, other in pairs)


def mine(monkeypatch: pytest.MonkeyPatch, name: str, *overrides: str) -> RunConfig:
    """Return the configuration of a network of `unfit`."""
    monkeypatch.setenv("GRIDSTORM_ALLOW", "unfit")
    return composed(f"model._target_=unfit.{name}", "trainer.max_epochs=3", DOUBLE, *overrides)
