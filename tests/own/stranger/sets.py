"""Data sets of the usual kind: pairs, mappings, dataclasses, streams, and a network."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from stranger.data import digits


class Images(Dataset[Any]):
    """Digits; `noise` is drawn where a sample is read, by torch, NumPy and random."""

    num_classes = 10

    def __init__(self, first: int = 0, samples: int = 96, noise: float = 0.0) -> None:
        x, y = digits()
        self.x, self.y, self.noise = x[first : first + samples], y[first : first + samples], noise

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        drawn = float(torch.randn(())) + np.random.randn() + random.random() if self.noise else 0.0
        return self.x[index] + self.noise * drawn, self.y[index]


class Mappings(Images):
    def __getitem__(self, index: int) -> Any:
        return {"image": self.x[index], "label": self.y[index], "name": f"number {index}"}


@dataclass
class Sample:
    image: Tensor
    label: Tensor


class Named(NamedTuple):
    image: Tensor
    label: Tensor
    weight: Tensor


class NamedTuples(Images):
    def __getitem__(self, index: int) -> Any:
        return Named(self.x[index], self.y[index], torch.ones(()))


def collate(samples: list[Any]) -> Sample:
    """A batch as a dataclass."""
    return Sample(*(torch.stack(part) for part in zip(*samples, strict=True)))


class Triples(Images):
    def __getitem__(self, index: int) -> Any:
        return self.x[index], index, self.y[index]


class Unknown(Images):
    """Says nothing of its classes."""

    num_classes = None  # type: ignore[assignment]


class Stream(IterableDataset[Any]):
    """A stream without a length, shared out among workers."""

    num_classes = 10

    def __init__(self, first: int = 0, samples: int = 96, noise: float = 0.0) -> None:
        self.images = Images(first, samples, noise)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(first, len(self.images), step):
            yield self.images[number]


class Masks(Images):
    """Which pixels are bright; those of the edge do not count."""

    num_classes = 2

    def __getitem__(self, index: int) -> Any:
        mask = (self.x[index][0] > 0.5).long()
        mask[0] = -100
        return self.x[index], mask


class Labels(Images):
    def __getitem__(self, index: int) -> Any:
        y = self.y[index]
        return self.x[index], torch.stack([y % 2 == 0, y > 4, y == 0]).long()


class Several(Images):
    """Two numbers of different units."""

    def __getitem__(self, index: int) -> Any:
        x = self.x[index]
        return x, torch.stack([x.mean(), 100 * x[0, 2:4, 2:4].sum()])


class Denoising(Images):
    def __getitem__(self, index: int) -> Any:
        return self.x[index] + 0.5 * (index % 2), self.x[index]


class Tokens(Images):
    """Sequences of 8 kinds of tokens, each to be followed by the one that is one larger."""

    num_classes = 8

    def __getitem__(self, index: int) -> Any:
        x = (index + torch.arange(6)) % 8
        return x, (x + 1) % 8


class Backwards:
    """A sampler."""

    def __init__(self, data_source: Any) -> None:
        self.count = len(data_source)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count - 1, -1, -1))


class Pixelwise(nn.Sequential):
    """C numbers for each pixel."""

    def __init__(self, num_outputs: int, width: int = 4) -> None:
        super().__init__(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_outputs, 1))


class Backboned(nn.Module):
    """A backbone and a head, as Lightning's finetuning takes them."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.backbone, self.head = nn.Linear(64, 16), nn.Linear(16, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(x.flatten(1)).relu())
        return logits
