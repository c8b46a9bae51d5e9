"""Handwritten digits: 1,797 grey images of 8x8 pixels, ten classes, from scikit-learn."""

from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import TensorData
from gridstorm.data._carried import Table, carried


class Digits(TensorData):
    """The test part of the UCI "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, 1998)."""

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "image"
    input_shape = (1, 8, 8)
    num_outputs = 10
    class_names = tuple("0123456789")

    def load(self) -> tuple[Tensor, Tensor]:
        """Grey values from 0 to 1 [1797, 1, 8, 8], and the digit [1797]."""
        return _load()


@cache
def _load() -> tuple[Tensor, Tensor]:
    """Read the file, once for all runs of a process."""
    pixels, digits = carried("digits", _read)
    return torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(digits)


def _read(folder: Path) -> Table:
    rows = np.loadtxt(folder / "digits.csv.gz", delimiter=",")
    return rows[:, :-1], rows[:, -1].astype(int)
