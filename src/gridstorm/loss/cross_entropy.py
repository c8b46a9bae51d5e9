"""Cross entropy, with label smoothing."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class CrossEntropy(nn.Module):
    """The mean of -log p(y), in nats, of logits [N, C] and classes y [N] int64.

    `label_smoothing` e takes e of each target's weight and spreads it evenly over all classes (Szegedy et al. 2016,
    section 7). It may become a tensor after construction, so that runs with different values can be stacked.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "language_modelling")

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing: float | Tensor = label_smoothing

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        smoothing = self.label_smoothing
        if isinstance(smoothing, float | int):
            return F.cross_entropy(logits, y, label_smoothing=smoothing)
        uniform = -F.log_softmax(logits, -1).mean()
        return (1 - smoothing) * F.cross_entropy(logits, y) + smoothing * uniform
