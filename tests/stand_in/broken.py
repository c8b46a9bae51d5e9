"""A user's own networks that fail, each in another way."""

import os
import signal
import time
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


class IsKilled(RaisesInTraining):
    """Its process is killed, as by a machine that has no memory left."""

    def forward(self, x: Tensor) -> Tensor:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


class Hangs(RaisesInTraining):
    """Never gives an answer."""

    def forward(self, x: Tensor) -> Tensor:
        """Wait."""
        time.sleep(3600)
        return super().forward(x)


class GoesNaN(RaisesInTraining):
    """Gives no numbers from its second batch on."""

    def forward(self, x: Tensor) -> Tensor:
        """Return NaN."""
        return torch.nn.functional.linear(x.flatten(1), self.weight, self.bias) * torch.nan
