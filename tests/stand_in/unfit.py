"""Networks of a user that take what an MLP takes: some cannot be stacked, some need care."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Plain(nn.Linear):
    """The base: one layer."""

    inputs = ("image",)

    def __init__(self, depth: int, width: int, activation: str, dropout: float, norm: str, **shape: Any) -> None:
        super().__init__(64, 10)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class Reads(Plain):
    """Reads a number of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x.mean().item()


class Branches(Plain):
    """Does other work for other data."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.mean() > 0 else super().forward(-x)


class Chooses(Plain):
    """Makes a tensor whose shape depends on the data."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (x > 0).nonzero().float().mean()


class Remembers(Plain):
    """Multiplies by what a function of its own drew, which nothing can know of."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.rand(()).sigmoid_() * torch.empty(()).uniform_(1, 2)


class UsesItsRate(Plain):
    """Multiplies by a dropout rate."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 - self.dropout)


class IdleLayer(Plain):
    """Has a layer that no gradient reaches, and one that is not to be trained."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.idle = nn.Linear(3, 3)
        self.fixed = nn.Linear(10, 10).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fixed(super().forward(x))  # type: ignore[no-any-return]


class DrawsMuch(Plain):
    """Draws in many ways, in training and in validation."""

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.1 * torch.randn_like(x) + 0.01 * torch.rand(x.shape)
        y = F.alpha_dropout(super().forward(x), 0.1, self.training)
        y = F.dropout(y, self.dropout, self.training)
        return y + 0.1 * F.gumbel_softmax(y)


class CountsItself(Plain):
    """Puts a new tensor in the place of its buffer."""

    steps: Tensor

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.steps = self.steps + 1
        return super().forward(x) / (1 + self.steps)


class Hungry(Plain):
    """Asks for 200 MiB in each pass, for a moment."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_outputs]."""
        y = super().forward(x)
        y.new_empty(200 * 2**20 // y.element_size())
        return y
