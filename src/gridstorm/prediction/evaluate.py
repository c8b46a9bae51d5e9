"""How good a trained model is: metrics with intervals, which classes it confuses, and its worst mistakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from gridstorm.config import metrics, number
from gridstorm.data import PARTS
from gridstorm.error import Problem, UserError, refused
from gridstorm.module import Module, aligned, batch_metrics, is_plain, picked
from gridstorm.objects import batch_names, module_for, prepared, quiet
from gridstorm.prediction.model import Trained
from gridstorm.record import RunRecord
from gridstorm.report import table

LEVEL = 0.95
MANY = 20_000  # samples, above which fewer resamples give the same interval, since it is narrow
WORST = 10
CLASSES = 20  # of which a confusion matrix is legible


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Args:
        samples: How many there were.
        metrics: The value of each, and the bounds of its interval: the 95 % percentile bootstrap over samples.
        classes: The names of the classes, empty where there are none.
        confusion: How many samples of each class (rows) were taken for each (columns).
        worst: Of the samples with the largest losses or errors their number from 1, what is true, what was predicted.
    """

    samples: int
    metrics: dict[str, tuple[float, float, float]]
    classes: Sequence[str]
    confusion: list[list[int]]
    worst: list[tuple[int, str, str, float]]

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def __str__(self) -> str:
        of_metrics = [(name, number(value), f"{number(low)} to {number(high)}")
                      for name, (value, low, high) in self.metrics.items()]  # fmt: skip
        parts = [f"{self.samples} samples", table([("metric", "value", "95 % interval"), *of_metrics])]
        if self.confusion and len(self.classes) <= CLASSES:
            rows = [(name, *map(str, counts)) for name, counts in zip(self.classes, self.confusion, strict=True)]
            columns = [*range(1, len(self.classes) + 1)]
            parts += ["", "true (down), predicted (across)", table([("", *self.classes), *rows], right=columns)]
        if self.worst:
            rows = [(str(place), true, guessed, number(size)) for place, true, guessed, size in self.worst]
            last = "loss" if self.confusion else "error"
            parts += ["", "worst mistakes", table([("sample", "true", "predicted", last), *rows], right=[0, 3])]
        return "\n".join(parts)


def evaluate(record: RunRecord, part: str = "test", path: str | None = None, seed: int = 0) -> Evaluation:
    """Return how good the best model of a run is.

    Args:
        record: Of the run.
        part: Of its data, where no file is given.
        path: A file of samples with their targets, in the form that the run was trained on.
        seed: Of the resampling.

    Raises:
        UserError: The data are not there, or do not fit the model.
    """
    model = Trained.of(record)
    with quiet():
        x, y = _of_file(model, path) if path else _of_part(model, part)
    module = module_for(model.config, model.network, model.data)
    assert isinstance(module, Module)
    logits, y = aligned(model.task, model.logits(x), y)
    found = {}
    for name, measure in _measures(module, logits, y).items():
        found[name] = _with_interval(measure, len(y), seed)
    confusion, worst = _mistakes(model, module, logits, y)
    return Evaluation(len(y), found, model.classes if confusion else [], confusion, worst)


def _of_file(model: Trained, path: str) -> tuple[Tensor, Tensor]:
    if not hasattr(model.data, "labelled_in"):
        target = model.config.values["data"]["_target_"]
        raise UserError([Problem(f"data.path={path}", f"{target} does not read another file.", "Leave it out.")])
    try:
        x, y = model.data.labelled_in(path)
    except ValueError as error:
        raise refused(f"data.path={path}", error) from error
    return x, y


def _of_part(model: Trained, part: str) -> tuple[Tensor, Tensor]:
    """Return the samples of a part of the run's own data, which have to be there."""
    if part not in PARTS:
        raise UserError([Problem(f"part={part}", "There is no such part.", f"Give one of {', '.join(PARTS)}.")])
    config = replace(model.config, values={**model.config.values, "init_from": None})
    data = prepared(config)
    loader = data.batches(part) if hasattr(data, "batches") else getattr(data, f"{part}_dataloader")()
    pairs = [pair for item in loader if (pair := picked(item, batch_names(config), model.task))]
    if not pairs:
        raise UserError([Problem(f"part={part}", "It yields no batch.", "Give another part.")])
    return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])


def _measures(module: Module, logits: Tensor, y: Tensor) -> Mapping[str, Callable[[Tensor], float]]:
    """Return what measures each metric on the samples of some numbers [N]."""
    plain = is_plain(module.loss)

    def ours(name: str) -> Callable[[Tensor], float]:
        def measure(rows: Tensor) -> float:
            some, targets = logits[rows], y[rows]
            values = batch_metrics(module.task, some, targets, module.loss(some, targets), plain)
            return metrics(module.task, [value.tolist() for value in values], module.unit)[name]

        return measure

    def of_user(metric: Any) -> Callable[[Tensor], float]:
        def measure(rows: Tensor) -> float:
            metric.reset()
            metric.update(*module.in_own_unit(logits[rows], y[rows]))
            return float(metric.compute())

        return measure

    with torch.inference_mode():
        values = batch_metrics(module.task, logits, y, module.loss(logits, y), plain)
        names = metrics(module.task, [value.tolist() for value in values], module.unit)
    chosen = module.collections["test"].items(keep_base=True) if module.watching else ()
    return {name: ours(name) for name in names} | {name: of_user(metric) for name, metric in chosen}


@torch.inference_mode()
def _with_interval(measure: Callable[[Tensor], float], count: int, seed: int) -> tuple[float, float, float]:
    """Return a metric and the bounds of its interval (Efron & Tibshirani 1993, chapter 13)."""
    from scipy.stats import bootstrap

    value = measure(torch.arange(count))
    if count < 2:
        return value, float("nan"), float("nan")
    drawn = bootstrap(
        (np.arange(count),), lambda rows: measure(torch.from_numpy(rows)), vectorized=False, method="percentile",
        n_resamples=1000 if count <= MANY else 200, confidence_level=LEVEL, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return value, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


Worst = list[tuple[int, str, str, float]]


@torch.inference_mode()
def _mistakes(model: Trained, module: Module, logits: Tensor, y: Tensor) -> tuple[list[list[int]], Worst]:
    """Return the confusion matrix of classes, and the worst mistakes."""
    if model.task == "classification":
        losses, predicted = torch.nn.functional.cross_entropy(logits, y, reduction="none"), logits.argmax(-1)
        counts = multiclass_confusion_matrix(predicted, y, len(model.classes))
        order = [row for row in losses.argsort(descending=True).tolist() if predicted[row] != y[row]][:WORST]
        names = model.classes
        return counts.tolist(), [
            (row + 1, names[int(y[row])], names[int(predicted[row])], float(losses[row])) for row in order
        ]
    if model.task == "regression" and y.reshape(len(y), -1).shape[1] == 1:
        predicted, true = module.in_own_unit(logits, y)
        errors = (predicted - true).abs()
        order = errors.argsort(descending=True).tolist()[:WORST]
        return [], [
            (row + 1, number(float(true[row])), number(float(predicted[row])), float(errors[row])) for row in order
        ]
    return [], []
