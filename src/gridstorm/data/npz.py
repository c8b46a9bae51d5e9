"""Arrays of the user's own, in one NPZ file."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import PARTS, Part, TensorData
from gridstorm.data._array import array_in, arrays_in
from gridstorm.data._target import CLASSES


class Npz(TensorData):
    """The arrays `x` and `y` of an NPZ file, or where it has them `x_train`, `y_train`, `x_val` and so on.

    x [N, D] is a table; [N, H, W], [N, H, W, C] and [N, C, H, W] with 1, 3 or 4 channels are images. y [N] of up to
    20 different whole numbers is classes, of others numbers to predict; y [N, L] of 0 and 1 is several labels.

    Args:
        path: The file.
        x: The name of the array of inputs.
        y: That of the targets.
        task: What is learned; `auto` is told by the targets.
    """

    task: str  # type: ignore[misc]  # told by the targets
    inputs: str  # type: ignore[misc]  # told by the inputs
    CHANNELS: ClassVar[tuple[int, ...]] = (1, 3, 4)

    def __init__(
        self,
        path: str,
        x: str = "x",
        y: str = "y",
        task: str = "auto",
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        standardize: bool = True,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction, standardize)
        self.path, self.names, self.asked = path, (x, y), task

    def load(self) -> tuple[Tensor, Tensor]:
        """All samples of a file without parts of its own."""
        return self._pair("")

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts that the file has, or those that the seed and the fractions make."""
        found = arrays_in(self.path)
        named: list[Part] = [part for part in PARTS if f"{self.names[0]}_{part}" in found]
        if not named:
            self._tell(*self._pair(""))
            return super().read()
        if lacking := [part for part in PARTS if part not in named]:
            fact = f"It has {self.names[0]}_{named[0]}, and no {self.names[0]}_{lacking[0]}."
            raise ValueError(f"data.path={self.path}: {fact} Give all three parts, or x and y.")
        parts = {part: self._pair(f"_{part}") for part in named}
        self._tell(torch.cat([x for x, _ in parts.values()]), torch.cat([y for _, y in parts.values()]))
        return {part: (x, self._in_shape(y)) for part, (x, y) in parts.items()}

    def _pair(self, end: str) -> tuple[Tensor, Tensor]:
        x, y = (torch.from_numpy(array_in(self.path, f"{name}{end}")) for name in self.names)
        if len(x) != len(y):
            raise ValueError(f"data.path={self.path}: x{end} has {len(x)} samples, and y{end} has {len(y)}.")
        x = self.in_shape(x)
        return x, self._in_shape(y) if hasattr(self, "num_outputs") else y

    def in_shape(self, x: Tensor) -> Tensor:
        """Return images with their channels first, one for grey ones."""
        if x.dim() == 3:
            x = x[:, None]
        elif x.dim() == 4 and x.shape[1] not in self.CHANNELS and x.shape[3] in self.CHANNELS:
            x = x.movedim(3, 1)
        if x.dim() not in (2, 4):
            shape = [*x.shape]
            raise ValueError(f"data.path={self.path}: x is {shape}. Give a table [N, D] or images [N, H, W, C].")
        return x.float()

    def encode(self, samples: Tensor) -> Tensor:
        """Return the inputs that are made of samples, their channels first or last."""
        return super().encode(self.in_shape(torch.as_tensor(np.asarray(samples))))

    def _tell(self, x: Tensor, y: Tensor) -> None:
        """Say what is learned, as the arrays show it."""
        whole = not y.is_floating_point() or bool((y == y.round()).all())
        is_number = not whole or (y.dim() == 1 and len({*y.tolist()}) > CLASSES)
        seen = "regression" if is_number or y.dim() == 2 else "classification"
        if y.dim() == 2 and y.shape[1] > 1 and bool(((y == 0) | (y == 1)).all()):
            seen = "multilabel"
        task = seen if self.asked == "auto" else self.asked
        if task not in ("classification", "regression", "multilabel"):
            raise ValueError(f"task={task}: Arrays in a file have none. Write a data module of your own.")
        if task == "classification" and (y.dim() > 1 or int(y.min()) < 0):
            raise ValueError(f"data.path={self.path}: y is {[*y.shape]} from {y.min():g}. Number classes from 0: [N].")
        outputs = int(y.max()) + 1 if task == "classification" else y.shape[1] if y.dim() == 2 else 1
        self.task, self.inputs = task, "table" if x.dim() == 2 else "image"
        self.input_shape, self.num_outputs = tuple(x.shape[1:]), outputs

    def _in_shape(self, y: Tensor) -> Tensor:
        if self.task == "classification":
            return y.long()
        return (y.float() if self.task == "multilabel" else y.double()).reshape(len(y), -1)
