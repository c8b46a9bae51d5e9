"""A user's own networks, data and callbacks that fail, each in another way."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from gridstorm.data import TensorData


class RaisesInTraining(torch.nn.Linear):
    """Takes what an MLP takes, and fails at its first batch."""

    inputs = ("image",)

    def __init__(self, depth: int, width: int, activation: str, dropout: float, norm: str, **shape: Any) -> None:
        super().__init__(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Fail."""
        raise RuntimeError("this network always fails")


class IsKilled(RaisesInTraining):
    """Its process is killed, as by a machine that has no memory left."""

    def forward(self, x: Tensor) -> Tensor:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Hangs(RaisesInTraining):
    """Never gives an answer."""

    def forward(self, x: Tensor) -> Tensor:
        """Wait."""
        time.sleep(3600)
        return super().forward(x)


class GoesNaN(RaisesInTraining):
    """Gives no numbers from its second batch on."""

    def forward(self, x: Tensor) -> Tensor:
        """Return NaN."""
        return torch.nn.functional.linear(x.flatten(1), self.weight, self.bias) * torch.nan


class Columns(TensorData):
    """A table that lacks a column."""

    task = "classification"
    inputs = "image"
    input_shape = (1, 8, 8)
    num_outputs = 10

    def load(self) -> tuple[Tensor, Tensor]:
        """Fail."""
        return {"size": torch.zeros(1)}["colour"], torch.zeros(1)


class Raises(pl.Callback):
    """Fails at its first batch."""

    def on_train_batch_end(self, *_: Any) -> None:
        """Fail."""
        raise RuntimeError("no more")


class _Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(8):
            yield torch.full((1, 8, 8), float(number)), torch.tensor(number)


class Endless(pl.LightningDataModule):
    """A stream whose length nobody knows."""

    task = "classification"
    inputs = "image"
    input_shape = (1, 8, 8)
    num_outputs = 10
    parts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(
        self, batch_size: int = 4, seed: int = 0, split_seed: int = 0, val_fraction: float = 0.1,
        test_fraction: float = 0.1, standardize: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the stream."""
        return DataLoader(_Stream(), self.batch_size)

    val_dataloader = test_dataloader = train_dataloader
