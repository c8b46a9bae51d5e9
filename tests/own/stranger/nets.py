"""Networks, an optimizer and a schedule."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Lazy(nn.Sequential):
    def __init__(self, num_outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(16), nn.ReLU(), nn.Linear(16, num_outputs))


class Begun(nn.Sequential):
    def __init__(self, file: str, num_outputs: int) -> None:
        first = nn.Linear(64, 16)
        with torch.no_grad():
            first.weight.copy_(torch.tensor(torch.load(file, weights_only=True).numpy()))
        super().__init__(nn.Flatten(), first, nn.ReLU(), nn.Linear(16, num_outputs))


class Sized(nn.Sequential):
    def __init__(self, sizes: list[int], num_outputs: int, options: dict[str, float] | None = None) -> None:
        pairs = [[nn.Linear(a, b), nn.ReLU()] for a, b in pairwise([64, *sizes])]
        dropout = nn.Dropout((options or {}).get("dropout", 0.0))
        hidden = [layer for pair in pairs for layer in pair]
        super().__init__(nn.Flatten(), *hidden, dropout, nn.Linear(sizes[-1], num_outputs))


class Signs(Optimizer):
    """Steps of one length, whatever the slope."""

    def __init__(self, params: Iterable[Any], lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> Any:
        loss = closure() if closure else None
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    slope: Tensor | None = parameter.grad
                    if slope is not None:
                        parameter.sub_(slope.sign(), alpha=group["lr"])
        return loss


class Halving(LRScheduler):
    def get_lr(self) -> list[float | Tensor]:
        return [lr * 0.5**self.last_epoch for lr in self.base_lrs]
