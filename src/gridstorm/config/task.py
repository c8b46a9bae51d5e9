"""The kinds of task, what each of them logs, which of torch's losses fit it, and which shapes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from gridstorm.target import find

Task = Literal["classification", "multilabel", "regression", "segmentation", "reconstruction", "language_modelling"]
AUTO = "auto"  # what the data say, or their first batch

# The direction in which each metric is better; a run logs it as train/NAME, val/NAME and test/NAME.
METRICS: dict[str, dict[str, str]] = {
    "classification": {"loss": "min", "accuracy": "max"},
    "multilabel": {"loss": "min", "accuracy": "max"},
    "regression": {"loss": "min", "rmse": "min", "r2": "max"},
    "segmentation": {"loss": "min", "accuracy": "max"},
    "reconstruction": {"loss": "min", "rmse": "min"},
    "language_modelling": {"loss": "min", "perplexity": "min", "bits_per_byte": "min"},
}
assert get_args(Task) == (*METRICS,)

# Our own losses say in their class which tasks they fit; torch's cannot. Others are tried with a batch.
OF_CLASSES = ("classification", "segmentation", "language_modelling")
OF_NUMBERS = ("regression", "reconstruction")
TORCH_LOSSES: dict[str, tuple[str, ...]] = {
    "torch.nn.modules.loss.CrossEntropyLoss": OF_CLASSES,
    "torch.nn.modules.loss.NLLLoss": OF_CLASSES,
    "torch.nn.modules.loss.MultiMarginLoss": ("classification",),
    "torch.nn.modules.loss.BCEWithLogitsLoss": ("multilabel", "reconstruction"),
    "torch.nn.modules.loss.MultiLabelSoftMarginLoss": ("multilabel",),
    "torch.nn.modules.loss.MSELoss": OF_NUMBERS,
    "torch.nn.modules.loss.HuberLoss": OF_NUMBERS,
    "torch.nn.modules.loss.SmoothL1Loss": OF_NUMBERS,
    "torch.nn.modules.loss.L1Loss": OF_NUMBERS,
}


def task_of(plain: Mapping[str, Any]) -> str | None:
    """Return the task of a configuration, None where only the data themselves can tell."""
    asked = plain.get("task", AUTO)
    if asked != AUTO:
        return str(asked)
    data = plain.get("data")
    target = find(str(data.get("_target_"))) if isinstance(data, Mapping) else None
    says = target.constant("task") if target else None
    return says if isinstance(says, str) else None


def monitors(task: str) -> dict[str, str]:
    """Return every metric that a run of `task` can choose by, with its direction (min or max)."""
    return {f"{part}/{name}": mode for part in ("train", "val") for name, mode in METRICS[task].items()}


def metrics(task: str, means: Sequence[Any], unit: float | Sequence[float] = 1.0) -> dict[str, float]:
    """Return the metrics of `task` from the means of its quantities.

    RMSE is in the target's own unit, of several targets over all of them. R2 is one minus the squared error over the
    variance of the targets, of several the mean of theirs, as in scikit-learn's r2_score, but for targets that do not
    vary. Perplexity is exp(cross entropy), bits per byte the cross entropy / ln 2.

    Args:
        task: A key of METRICS.
        means: The loss, and what `batch_metrics` returns beside it; of several targets a list of each.
        unit: Of a regression, the standard deviation of the target in training, of several targets a list. Of a
            language model, the bytes of a token; 0 where they are not known, and bits per byte are left out.
    """
    loss, rest = means[0], means[1:]
    if task == "regression":
        return {"loss": loss, **_of_regression(*rest, unit=unit)}
    if task == "reconstruction":
        return {"loss": loss, "rmse": math.sqrt(rest[0])}
    if task != "language_modelling":
        return {"loss": loss, "accuracy": rest[0]}
    nats = rest[0]
    bits = {"bits_per_byte": nats / math.log(2) / float(unit)} if unit else {}  # type: ignore[arg-type]  # one number
    return {"loss": loss, "perplexity": math.exp(min(nats, 700.0)), **bits}


def _of_regression(error: Any, mean: Any, square: Any, *, unit: Any) -> dict[str, float]:
    columns = [*zip(*(value if isinstance(value, list) else [value] for value in (error, mean, square)), strict=True)]
    units = [*unit] if isinstance(unit, list | tuple) else [unit] * len(columns)
    squares = [error * unit**2 for (error, *_), unit in zip(columns, units, strict=True)]
    shares = [1 - error / variance for error, mean, square in columns if (variance := square - mean**2) > 0]
    rmse = math.sqrt(columns[0][0]) * units[0] if len(columns) == 1 else math.sqrt(sum(squares) / len(squares))
    return {"rmse": rmse, "r2": sum(shares) / len(shares) if shares else math.nan}


def misshapen(task: str, logits: tuple[int, ...], y: tuple[int, ...], loss: tuple[int, ...]) -> tuple[str, str] | None:
    """Return why these shapes do not fit one another, in a sentence of fact and one of remedy; None if they do.

    Tensors of other shapes may broadcast, which gives numbers that mean nothing.

    Args:
        task: A key of METRICS.
        logits: The shape of the predictions.
        y: That of the targets.
        loss: That of the loss.
    """
    shapes, words = f"The predictions are {[*logits]} and the targets {[*y]}", task.replace("_", " ")
    if task in ("regression", "multilabel", "reconstruction") and logits != y:
        remedy = {
            "regression": "Give targets [N, 1], such as y.unsqueeze(1).",
            "multilabel": "Give targets [N, L], 1 for each of the L labels that a sample has and 0 for the others.",
            "reconstruction": "Let the model return as many numbers as its input has: num_outputs of them.",
        }[task]
        return f"{shapes}, and a {words} compares equal shapes.", remedy
    if task == "segmentation" and (len(logits) < 3 or y != (*logits[:1], *logits[2:])):
        remedy = "Let the model return C numbers for each place, and give its class's number for each."
        return f"{shapes}, and segmentation takes [N, C, H, W] and [N, H, W].", remedy
    if task in ("classification", "language_modelling") and not (len(logits) == 2 and y == logits[:1]):
        return f"{shapes}, and {words} takes [N, C] and [N].", "Give the number of its class for each of the N."
    if loss:
        return f"The loss is {[*loss]}, and it has to be one number.", "Let it return its mean, such as reduction=mean."
    return None
