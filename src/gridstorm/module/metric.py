"""What each batch adds to the metrics of a task, and their means."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gridstorm.config import METRICS, RunConfig, wrong_direction
from gridstorm.error import Problem, UserError
from gridstorm.loss.cross_entropy import CrossEntropy

Batch = tuple[Tensor, Tensor]
DIRECTIONS = {name: mode for metrics in METRICS.values() for name, mode in metrics.items()}


class Meter:
    """Means over batches, weighted by their sizes; tensors stay on their device until a mean is asked for."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.values: list[tuple[Tensor, ...]] = []

    def add(self, size: int, values: tuple[Tensor, ...]) -> None:
        """Add a batch of `size` samples with the mean of each quantity, scalars."""
        self.sizes.append(size)
        self.values.append(values)

    def means(self, first: int = 0) -> list[float]:
        """Return the mean of each quantity over the batches from number `first` on, of all processes."""
        weights = torch.tensor(self.sizes[first:], dtype=torch.float64)
        columns = [torch.stack(column).double().cpu() for column in zip(*self.values[first:], strict=True)]
        sums = torch.stack([weights.sum(), *((column * weights).sum() for column in columns)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            shared = sums.to(self.values[0][0].device)
            torch.distributed.all_reduce(shared)
            sums = shared.cpu()
        return (sums[1:] / sums[0]).tolist()


def batch_metrics(task: str, logits: Tensor, y: Tensor, loss: Tensor, plain: bool = False) -> tuple[Tensor, ...]:
    """Return what a batch adds to the metrics of `task`: means over the batch, the loss first.

    Args:
        task: A key of `gridstorm.task.METRICS`.
        logits: Predictions, [N, C] or [N, 1].
        y: Targets, [N] int64 or [N, 1] float.
        loss: The batch's loss, a scalar.
        plain: Whether that is the cross entropy itself.
    """
    if task == "classification":
        return loss, (logits.max(-1).indices == y).float().mean()  # argmax takes longer
    if task == "regression":
        return loss, (logits - y).square().mean(), y.mean(), y.square().mean()
    return loss, loss if plain else F.cross_entropy(logits, y)


def is_plain(loss: nn.Module) -> bool:
    """Tell whether a loss is the mean cross entropy and nothing else."""
    smoothing = getattr(loss, "label_smoothing", None)
    plain = type(loss) is CrossEntropy and loss.weight is None
    if type(loss) is nn.CrossEntropyLoss:
        plain = loss.weight is None and loss.reduction == "mean" and loss.ignore_index == -100
    return plain and isinstance(smoothing, float | int) and smoothing == 0


def forward_loss(network: nn.Module, loss: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss of a batch, a scalar, the logits [N, C] and the targets [N]; in text every position is one."""
    x, y = batch
    logits, y = aligned(network(x), y)
    return loss(logits, y), logits, y


def aligned(logits: Tensor, y: Tensor) -> Batch:
    """Return predictions [N, C] and targets [N] of every position of a text, and others as they are."""
    return (logits.flatten(0, 1), y.flatten()) if logits.dim() == 3 else (logits, y)


def direction(name: str, metric: Any) -> str | None:
    """Return whether a metric is better when smaller (`min`) or larger (`max`); None where nothing says so.

    A torchmetrics object says so itself; of a number the last word of its name does, if it is one of ours.
    """
    if (higher := getattr(metric, "higher_is_better", None)) is not None:
        return "max" if higher else "min"
    return next((mode for word, mode in DIRECTIONS.items() if name.replace("/", "_").endswith(f"_{word}")), None)


def refuse_a_wrong_direction(config: RunConfig, known: str | None) -> None:
    """Refuse a score of which nobody says when it is better, or that is to get worse.

    Args:
        config: The configuration.
        known: In which direction the score is known to be better, None where that is not known.

    Raises:
        UserError: So it is.
    """
    monitor, mode = config.values["monitor"], config.values["mode"]
    if known and known != mode:
        raise UserError([wrong_direction(monitor, mode, known)])
    if not known and config.origins.get("mode") == "default":
        fact = f"Nothing says whether {monitor} is better when it is smaller or larger."
        raise UserError([Problem("mode", fact, "Write mode=min or mode=max.")])
