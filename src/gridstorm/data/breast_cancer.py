"""Breast cancer: 569 tumours described by 30 measurements, malignant or benign, from scikit-learn."""

from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import TensorData
from gridstorm.data._carried import Table, carried


class BreastCancer(TensorData):
    """The UCI "Breast Cancer Wisconsin (Diagnostic)" data (Street, Wolberg & Mangasarian, 1993)."""

    task: ClassVar[str] = "classification"
    inputs: ClassVar[str] = "table"
    input_shape = (30,)
    num_outputs = 2
    class_names = ("malignant", "benign")

    def load(self) -> tuple[Tensor, Tensor]:
        """Measurements of cell nuclei [569, 30] in their own units, and the class [569]."""
        return _load()


@cache
def _load() -> tuple[Tensor, Tensor]:
    """Read the file, once for all runs of a process."""
    measurements, classes = carried("breast_cancer", _read)
    return torch.tensor(measurements), torch.tensor(classes)


def _read(folder: Path) -> Table:
    rows = np.loadtxt(folder / "breast_cancer.csv", delimiter=",", skiprows=1)
    return rows[:, :-1], rows[:, -1].astype(int)
