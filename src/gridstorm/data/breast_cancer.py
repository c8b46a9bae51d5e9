"""Breast cancer: 569 tumours described by 30 measurements, malignant or benign, from scikit-learn."""

from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from gridstorm.data import TensorData


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
    from sklearn.datasets import load_breast_cancer

    measurements, classes = load_breast_cancer(return_X_y=True)
    return torch.tensor(measurements), torch.tensor(classes)
