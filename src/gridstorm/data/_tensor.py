"""Images and tables in memory: split at random and standardised."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gridstorm.data._array import array_in
from gridstorm.data._memory import InMemory, Part
from gridstorm.data._split import split


class TensorData(InMemory):
    """Images or tables, split at random and standardised by what the training part says.

    A split of classes is stratified: each has its share of every part, to within one sample. Images are standardised
    by one mean and deviation for each channel, tables by one for each column, regression targets likewise, with
    `target_mean` and `target_std` in the target's unit, lists where there are several.
    """

    target_mean: float | list[float] = 0.0
    target_std: float | list[float] = 1.0

    def __init__(
        self,
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        self.standardize = standardize
        self.moments = torch.tensor(0.0), torch.tensor(1.0)

    def load(self) -> tuple[Tensor, Tensor]:
        """All samples: x [N, *input_shape] float, and y [N] int64 (classification) or [N, K] float (regression)."""
        raise NotImplementedError

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts as the seed and the fractions split them."""
        x, y = self.load()
        classes = y if self.task == "classification" else None
        chosen = split(len(y), self.val_fraction, self.test_fraction, self.split_seed, classes)
        return {part: (x[index], y[index]) for part, index in chosen.items()}

    def fitted(self) -> dict[str, Any]:
        """Return what was fitted to the training part."""
        return {"mean": self.moments[0].tolist(), "std": self.moments[1].tolist()}

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was fitted, without the data that it was fitted to."""
        self.moments = torch.tensor(fitted["mean"]), torch.tensor(fitted["std"])

    def samples_in(self, path: str, count: int) -> Iterator[NDArray[Any]]:
        """Yield the samples x [N, *input_shape] of an NPZ file, or of an NPY file, in pieces, as they were given."""
        samples = array_in(path, "x")
        for start in range(0, len(samples), count):
            yield samples[start : start + count]

    def labelled_in(self, path: str) -> tuple[Tensor, Tensor]:
        """Return the inputs and the targets `y` of an NPZ file."""
        x, y = array_in(path, "x"), torch.from_numpy(array_in(path, "y"))
        return self.encode(x), self._target(y.long() if self.task == "classification" else y.view(len(y), -1))

    def encode(self, samples: Any) -> Tensor:
        """Return the inputs that are made of samples [N, *input_shape]."""
        mean, std = self.moments
        if math.prod(samples.shape[1:]) != math.prod(self.input_shape):
            raise ValueError(f"Samples are {[*samples.shape[1:]]}, and training had {[*self.input_shape]}.")
        return ((torch.as_tensor(samples).view(-1, *self.input_shape) - mean) / std).float()

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts as float32, standardised by the training part's mean and deviation."""
        x, y = parts["train"]
        if self.standardize:
            self.moments = moments(x, [0, 2, 3] if self.inputs == "image" else [0])
        mean, std = self.moments
        if self.standardize and self.task == "regression":
            self.target_mean, self.target_std = (
                moment.item() if moment.numel() == 1 else moment.flatten().tolist() for moment in moments(y, [0])
            )
        return {part: (((x - mean) / std).float(), self._target(y)) for part, (x, y) in parts.items()}

    def _target(self, y: Tensor) -> Tensor:
        if self.task != "regression":
            return y
        dtype = y.dtype if y.is_floating_point() else None
        mean, std = (torch.tensor(value, dtype=dtype) for value in (self.target_mean, self.target_std))
        return ((y - mean) / std).float()


def moments(values: Tensor, dim: list[int]) -> tuple[Tensor, Tensor]:
    """Mean and deviation over these dimensions, which are kept; what is constant gets the deviation 1."""
    values = values.double()
    mean, std = values.mean(dim, keepdim=True), values.std(dim, correction=0, keepdim=True)
    # The deviation of a constant is rounding noise rather than zero.
    return mean, std.where(std > 1e-9 * mean.abs(), 1).where(std > 0, 1)
