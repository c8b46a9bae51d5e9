"""What each batch adds to the metrics of a task, and their means."""

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gridstorm.config import METRICS, RunConfig, wrong_direction
from gridstorm.error import Problem, UserError
from gridstorm.loss.cross_entropy import CrossEntropy
from gridstorm.module.batch import Batch

FORKED = re.compile(r"(_step|_epoch)?(/dataloader_idx_\d+)?$")  # what Lightning adds to a name
IGNORED = -100  # the class of a place that does not count, as torch's losses have it
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

    def means(self, first: int = 0) -> list[Any]:
        """Return the mean of each quantity over the batches from number `first` on, of all processes.

        That of a quantity of several targets is a list.
        """
        weights = torch.tensor(self.sizes[first:], dtype=torch.float64)
        columns = [torch.stack(column).double().cpu() for column in zip(*self.values[first:], strict=True)]
        sums = [weights.sum(), *((column.movedim(0, -1) * weights).sum(-1) for column in columns)]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            device = self.values[0][0].device
            for number, total in enumerate(sums):
                shared = total.to(device)
                torch.distributed.all_reduce(shared)
                sums[number] = shared.cpu()
        return [(total / sums[0]).tolist() for total in sums[1:]]

    def losses(self) -> list[float]:
        """Return the loss of each batch of this process: the first quantity of every task."""
        return torch.stack([values[0] for values in self.values]).tolist() if self.values else []


def batch_metrics(task: str, logits: Tensor, y: Tensor, loss: Tensor, plain: bool = False) -> tuple[Tensor, ...]:
    """Return what a batch adds to the metrics of `task`: means over the batch, the loss first.

    Args:
        task: A key of `gridstorm.config.METRICS`.
        logits: Predictions, as `aligned` returns them.
        y: Targets, likewise.
        loss: The batch's loss, a scalar.
        plain: Whether that is the cross entropy itself.
    """
    if task == "classification":
        return loss, (logits.max(-1).indices == y).float().mean()  # argmax takes longer
    if task == "segmentation":
        kept = y != IGNORED
        return loss, ((logits.max(1).indices == y) & kept).float().sum() / kept.float().sum().clamp(min=1)
    if task == "multilabel":
        return loss, ((logits > 0) == (y > 0.5)).float().mean()
    if task == "reconstruction":
        return loss, (logits - y).square().mean()
    if task == "regression" and y.shape[-1] == 1:
        return loss, (logits - y).square().mean(), y.mean(), y.square().mean()
    if task == "regression":
        return loss, (logits - y).square().mean(0), y.mean(0), y.square().mean(0)
    return loss, loss if plain else F.cross_entropy(logits, y)


def is_plain(loss: nn.Module) -> bool:
    """Tell whether a loss is the mean cross entropy and nothing else."""
    smoothing = getattr(loss, "label_smoothing", None)
    plain = type(loss) is CrossEntropy and loss.weight is None
    if type(loss) is nn.CrossEntropyLoss:
        plain = loss.weight is None and loss.reduction == "mean" and loss.ignore_index == -100
    return plain and isinstance(smoothing, float | int) and smoothing == 0


def forward_loss(network: nn.Module, loss: nn.Module, batch: Batch, task: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss of a batch, a scalar, and its predictions and targets, as `aligned` returns them."""
    x, y = batch
    logits, y = aligned(task, network(x), y)
    return loss(logits, y), logits, y


def aligned(task: str, logits: Tensor, y: Tensor) -> Batch:
    """Return predictions and targets as the loss and the metrics of a task take them.

    Of a language model [N, C] and [N], every position of a text being one sample; of a reconstruction in the input's
    shape; of several labels the targets as numbers, 0 or 1.
    """
    if task == "language_modelling" and logits.dim() == 3:
        return logits.flatten(0, 1), y.flatten()
    if task == "reconstruction" and logits.shape != y.shape and logits[:1].numel() == y[:1].numel():
        return logits.reshape(y.shape), y
    if task == "multilabel":
        return logits, y.to(logits.dtype)
    return logits, y


def direction(name: str, metric: Any) -> str | None:
    """Return whether a metric is better when smaller (`min`) or larger (`max`); None where nothing says so.

    A torchmetrics object says so itself; of a number the last word of its name does, if it is one of ours.
    """
    if (higher := getattr(metric, "higher_is_better", None)) is not None:
        return "max" if higher else "min"
    name = FORKED.sub("", name).replace("/", "_")
    return next((mode for word, mode in DIRECTIONS.items() if name.endswith(f"_{word}")), None)


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
