"""Cross entropy, with label smoothing."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

IGNORED = -100  # the class of what does not count, as torch's losses have it


class CrossEntropy(nn.Module):
    """The mean of -log p(y), in nats, of logits [N, C, ...] and classes y [N, ...] int64; -100 does not count.

    `label_smoothing` e takes e of each target's weight and spreads it evenly over all classes (Szegedy et al. 2016,
    section 7). It may become a tensor after construction, so that runs with different values can be stacked.
    `weight` [C] counts each class so many times; the mean is over the weights, as in torch.nn.CrossEntropyLoss.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "segmentation", "language_modelling")

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
        surprise, counts = -F.log_softmax(logits, 1).movedim(1, -1), y != IGNORED
        each = (surprise if weight is None else surprise * weight).mean(-1)
        whole = counts if weight is None else weight[y.clamp(min=0)] * counts
        uniform = (each * counts).sum() / whole.sum()
        return (1 - smoothing) * F.cross_entropy(logits, y, weight) + smoothing * uniform
