"""A user's own network whose training step takes a tenth of a second and no processor: it sleeps."""

import time
from typing import Any, ClassVar

import torch
from torch import Tensor

STEP_SECONDS = 0.1


class Sleeper(torch.nn.Linear):
    """Takes what an MLP takes, and prints when its first training step begins."""

    inputs: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, depth: int, width: int, activation: str, dropout: float, norm: str, **shape: Any) -> None:
        super().__init__(64, 10)
        self.begun = False

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, 10] of x [N, 1, 8, 8]."""
        if self.training:
            if not self.begun:
                print(time.time(), flush=True)  # goes to the run's output.txt
                self.begun = True
            time.sleep(STEP_SECONDS)
        return super().forward(x.flatten(1))
