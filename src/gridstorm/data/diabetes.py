"""Diabetes: how far the disease went in a year, for 442 patients with 10 measurements each, from scikit-learn."""

from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gridstorm.data import TensorData
from gridstorm.data._carried import Table, carried


class Diabetes(TensorData):
    """The data of "Least Angle Regression" (Efron et al., 2004)."""

    task: ClassVar[str] = "regression"
    inputs: ClassVar[str] = "table"
    input_shape = (10,)
    num_outputs = 1

    def load(self) -> tuple[Tensor, Tensor]:
        """Measurements [442, 10] in their own units, and the score of progression [442, 1], from 25 to 346."""
        return _load()


@cache
def _load() -> tuple[Tensor, Tensor]:
    """Read the file, once for all runs of a process."""
    measurements, progression = carried("diabetes", _read, scaled=False)
    return torch.tensor(measurements), torch.tensor(progression).unsqueeze(1)


def _read(folder: Path) -> Table:
    return np.loadtxt(folder / "diabetes_data_raw.csv.gz"), np.loadtxt(folder / "diabetes_target.csv.gz")
