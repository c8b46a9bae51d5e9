"""Digits as images, pairs, masks, labels, sequences and a stream, in DataLoaders."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

SAMPLES, HELD_OUT = 160, 64


def digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images[: SAMPLES + HELD_OUT], dtype=torch.float32).view(-1, 1, 8, 8) / 16
    return x, torch.tensor(labels[: SAMPLES + HELD_OUT])


class Digits(pl.LightningDataModule):
    def __init__(self, batch_size: int = 32, num_workers: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def dataset(self) -> Dataset[Any]:
        return TensorDataset(*digits())

    def setup(self, stage: str) -> None:
        whole = self.dataset()
        self.train = torch.utils.data.Subset(whole, range(SAMPLES))
        self.held_out = torch.utils.data.Subset(whole, range(SAMPLES, SAMPLES + HELD_OUT))

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, shuffle=True, **self.hparams)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.held_out, **self.hparams)


class Mapped(Dataset[Any]):
    def __init__(self, make: Any) -> None:
        self.make, (self.x, self.y) = make, digits()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.make(self.x[index], self.y[index])


class Pairs(Digits):
    """Two noisy views of a digit, in a dictionary; the noise is drawn where the sample is read."""

    def dataset(self) -> Dataset[Any]:
        return Mapped(lambda x, y: {"left": x + 0.1 * torch.randn_like(x), "right": x + 0.1 * torch.randn_like(x)})


class Masks(Digits):
    def dataset(self) -> Dataset[Any]:
        return Mapped(lambda x, y: (x, (x[0] > 0.5).long()))


class Labels(Digits):
    """Whether a digit is even, whether it is large, whether it is a prime."""

    def dataset(self) -> Dataset[Any]:
        return Mapped(lambda x, y: (x, torch.stack([y % 2 == 0, y > 4, (y == 2) | (y == 3) | (y == 5) | (y == 7)])))


class Sequences(Digits):
    """A row of numbers, and the same backwards."""

    def dataset(self) -> Dataset[Any]:
        return Mapped(lambda x, y: ((x.flatten()[:6] * 4).long(), (x.flatten()[:6] * 4).long().flip(0)))


class _Stream(IterableDataset[Any]):
    def __init__(self, samples: int, first: int) -> None:
        self.samples, self.first = samples, first

    def __iter__(self) -> Iterator[Any]:
        x, y = digits()
        for number in range(self.first, self.first + self.samples):
            yield x[number], y[number]


class Stream(pl.LightningDataModule):
    def __init__(self, batch_size: int = 32) -> None:
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Stream(SAMPLES, 0), self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Stream(HELD_OUT, SAMPLES), self.batch_size)


class TwoLoaders(Digits):
    """Two validation sets."""

    def val_dataloader(self) -> Any:
        return [super().val_dataloader(), super().val_dataloader()]


class LivingWorkers(Pairs):
    """Workers that live on from epoch to epoch."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, batch_size=32, num_workers=1, persistent_workers=True)
