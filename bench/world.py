"""Data sets and networks on which `bench.diagnosis` plants what is wrong: small, and each with a switch for a fault."""

from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor, nn

from gridstorm.data import Batches, InMemory, Part, TensorData
from gridstorm.model import ACTIVATIONS, Activation


class Spoiled(InMemory):
    """Data that can be spoiled: other labels, no shuffling, few samples, or a validation part that leaked."""

    labels: Literal["true", "shuffled"] = "true"
    order: Literal["shuffled", "sorted"] = "shuffled"
    copies = 0
    samples: int | None = None

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts, spoiled."""
        parts = super().read()
        x, y = parts["train"]
        if self.samples:
            x, y = x[: self.samples], y[: self.samples]
        if self.labels == "shuffled":
            y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(self.split_seed))]
        for _ in range(self.copies):
            x, y = torch.cat([x, parts["val"][0]]), torch.cat([y, parts["val"][1]])
        if self.order == "sorted":
            ranked = y.flatten().argsort(stable=True)
            x, y = x[ranked], y[ranked]
        return {**parts, "train": (x, y)}

    def train_dataloader(self) -> Batches:
        """The training batches, in the same order in each epoch where they are sorted."""
        return self.batches("train", shuffle=self.order == "shuffled")


class Planted(Spoiled, TensorData):
    """Arrays that can be spoiled."""

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "table"

    def __init__(
        self,
        labels: Literal["true", "shuffled"] = "true",
        order: Literal["shuffled", "sorted"] = "shuffled",
        copies: int = 0,
        samples: int | None = None,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        """Take what to spoil.

        Args:
            labels: Whose order may have nothing to do with the samples any more.
            order: Of the training samples in each epoch.
            copies: How often each validation sample is among the training samples.
            samples: How many training samples there are at most.
            batch_size: Samples of a batch.
            seed: Of the order.
            split_seed: Of the parts.
        """
        super().__init__(batch_size, seed, split_seed)
        self.labels, self.order, self.copies, self.samples = labels, order, copies, samples


def _table(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    x, y = torch.as_tensor(np.asarray(x)).float(), torch.as_tensor(np.asarray(y))
    return x, y.float()[:, None] if y.is_floating_point() else y.long()


class Digits(Planted):
    """Handwritten digits, 1,797 of 8x8 pixels."""

    inputs: ClassVar[str] = "image"
    input_shape = (1, 8, 8)
    num_outputs = 10

    def load(self) -> tuple[Tensor, Tensor]:
        """Grey values and the digit."""
        found = datasets.load_digits()
        x, y = _table(found.data / 16, found.target)
        return x.view(-1, 1, 8, 8), y


class Wine(Planted):
    """178 wines of three cultivars."""

    input_shape = (13,)
    num_outputs = 3

    def load(self) -> tuple[Tensor, Tensor]:
        """Measurements and the cultivar."""
        return _table(*datasets.load_wine(return_X_y=True))


class BreastCancer(Planted):
    """569 biopsies."""

    input_shape = (30,)
    num_outputs = 2

    def load(self) -> tuple[Tensor, Tensor]:
        """Measurements, and whether it is benign."""
        return _table(*datasets.load_breast_cancer(return_X_y=True))


class Moons(Planted):
    """Two half circles of 1,500 points that overlap: a tenth cannot be told apart."""

    input_shape = (2,)
    num_outputs = 2

    def load(self) -> tuple[Tensor, Tensor]:
        """Points and their half circle."""
        return _table(*datasets.make_moons(1500, noise=0.3, random_state=0))


class Clusters(Planted):
    """2,000 points of five classes of unequal size, a twentieth of them mislabeled."""

    input_shape = (20,)
    num_outputs = 5

    def load(self) -> tuple[Tensor, Tensor]:
        """Points and their class."""
        return _table(
            *datasets.make_classification(
                2000,
                20,
                n_informative=10,
                n_classes=5,
                weights=[0.4, 0.25, 0.15, 0.1, 0.1],
                flip_y=0.05,
                random_state=0,
            )
        )


class Diabetes(Planted):
    """442 patients and how far the disease went in a year."""

    task: ClassVar[str] = "regression"
    input_shape = (10,)
    num_outputs = 1

    def load(self) -> tuple[Tensor, Tensor]:
        """Measurements and the progression."""
        return _table(*datasets.load_diabetes(return_X_y=True, scaled=False))


class Friedman(Planted):
    """1,500 values of a smooth function of five of ten numbers, with some noise."""

    task: ClassVar[str] = "regression"
    input_shape = (10,)
    num_outputs = 1

    def load(self) -> tuple[Tensor, Tensor]:
        """Numbers and the value."""
        return _table(*datasets.make_friedman1(1500, noise=1.0, random_state=0))


class Rings(Planted):
    """1,800 points in four numbers, of three classes that are shells around one another (nested Gaussian quantiles)."""

    input_shape = (4,)
    num_outputs = 3

    def load(self) -> tuple[Tensor, Tensor]:
        """Points and their shell."""
        return _table(*datasets.make_gaussian_quantiles(n_samples=1800, n_features=4, n_classes=3, random_state=0))


class Deep(nn.Sequential):
    """Maps x [N, *input_shape] to [N, num_outputs] through layers that begin as badly as asked for."""

    inputs: ClassVar[tuple[str, ...]] = ("image", "table")

    def __init__(
        self,
        depth: int = 2,
        width: int = 64,
        activation: Activation = "relu",
        scale: float = 1.0,
        bias: float = 0.0,
        norm: Literal["none", "batch"] = "none",
        *,
        input_shape: tuple[int, ...],
        num_outputs: int,
    ) -> None:
        """Take the layers; `scale` is of He's first weights, `bias` what each hidden bias begins with."""
        widths = [int(np.prod(input_shape)), *[width] * depth]
        layers: list[nn.Module] = [nn.Flatten()]
        for inside, outside in pairwise(widths):
            linear = nn.Linear(inside, outside)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            with torch.no_grad():
                linear.weight.mul_(scale)
                linear.bias.fill_(bias)
            normalised = [nn.BatchNorm1d(outside)] if norm == "batch" else []
            layers += [linear, *normalised, ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(widths[-1], num_outputs))
