"""Cross entropy, with label smoothing."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class CrossEntropy(nn.Module):
    """The mean of -log p(y), in nats, of logits [N, C] and classes y [N] int64.

    `label_smoothing` e takes e of each target's weight and spreads it evenly over all classes (Szegedy et al. 2016,
    section 7). It may become a tensor after construction, so that runs with different values can be stacked.
    `weight` [C] counts each class so many times; the mean is over the weights, as in torch.nn.CrossEntropyLoss.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "language_modelling")

    weight: Tensor | None

    def __init__(self, label_smoothing: float = 0.0, weight: Tensor | None = None) -> None:
        super().__init__()
        self.label_smoothing: float | Tensor = label_smoothing
        self.register_buffer("weight", weight, persistent=False)  # it follows from the configuration and the data

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        smoothing, weight = self.label_smoothing, self.weight
        if isinstance(smoothing, float | int):
            return F.cross_entropy(logits, y, weight, label_smoothing=smoothing)
        surprise = -F.log_softmax(logits, -1)
        uniform = surprise.mean() if weight is None else (surprise * weight).mean(-1).sum() / weight[y].sum()
        return (1 - smoothing) * F.cross_entropy(logits, y, weight) + smoothing * uniform
