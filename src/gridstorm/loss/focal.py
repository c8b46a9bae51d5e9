"""Focal loss: cross entropy that turns from what is learned already to what is hard."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORED = -100  # the class of what does not count, as torch's losses have it


class Focal(nn.Module):
    """The mean of -(1 - p(y))^gamma log p(y), of logits [N, C, ...] and classes y [N, ...] (Lin et al. 2017, eq. 4).

    gamma 0 is cross entropy; the paper's choice is 2. There is no weight by class (its eq. 5 has one). A y of -100 does
    not count.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "segmentation", "language_modelling")

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        nll = F.cross_entropy(logits, y, reduction="none")
        # A probability of exactly 1 would give 0^gamma, whose gradient is infinite for gamma < 1.
        missing = (-torch.expm1(-nll)).clamp(min=torch.finfo(nll.dtype).tiny)
        return (missing**self.gamma * nll).sum() / (y != IGNORED).sum()
