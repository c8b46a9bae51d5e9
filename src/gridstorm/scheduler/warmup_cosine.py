"""Warm up, then go down along half a cosine: what most transformers are trained with."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class WarmupCosine(LRScheduler):
    """From lr / warmup_steps up to lr in a line, then down to lr * min_lr_ratio (Loshchilov & Hutter 2017, eq. 5).

    It moves once each of `total_steps` optimizer steps, and stays at the end after them. `warmup_steps` None is a
    twentieth of them. Raises ValueError where the warm-up leaves no step for the cosine.
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int | None = None, min_lr_ratio: float = 0.0
    ) -> None:
        warmup_steps = total_steps // 20 if warmup_steps is None else warmup_steps
        if warmup_steps >= total_steps:
            raise ValueError(
                f"scheduler.warmup_steps={warmup_steps} does not end within the run's {total_steps} steps. "
                f"Train longer, or choose fewer, such as {max(total_steps // 20, 0)}."
            )
        self.total_steps, self.warmup_steps, self.min_lr_ratio = total_steps, warmup_steps, min_lr_ratio
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:  # type: ignore[override]
        """The learning rate of each parameter group at this step."""
        return [float(lr) * self.factor(self.last_epoch) for lr in self.base_lrs]

    def factor(self, step: int) -> float:
        """The share of the optimizer's own learning rate at a step, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = min((step - self.warmup_steps) / (self.total_steps - self.warmup_steps), 1.0)
        return self.min_lr_ratio + (1 - self.min_lr_ratio) * (1 + math.cos(math.pi * done)) / 2
