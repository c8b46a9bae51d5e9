"""A user's own network that fails."""

from typing import Any

import torch
from torch import Tensor


class RaisesInTraining(torch.nn.Linear):
    """Takes what an MLP takes, and fails at its first batch."""

    inputs = ("image",)

    def __init__(self, depth: int, width: int, activation: str, dropout: float, norm: str, **shape: Any) -> None:
        super().__init__(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Fail."""
        raise RuntimeError("this network always fails")
