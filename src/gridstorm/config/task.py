"""The kinds of task, what each of them logs, which of torch's losses fit it, and which shapes."""

import math
from collections.abc import Sequence
from typing import Literal

Task = Literal["classification", "regression", "language_modelling"]

# The direction in which each metric is better; a run logs it as train/NAME, val/NAME and test/NAME.
METRICS: dict[str, dict[str, str]] = {
    "classification": {"loss": "min", "accuracy": "max"},
    "regression": {"loss": "min", "rmse": "min", "r2": "max"},
    "language_modelling": {"loss": "min", "perplexity": "min", "bits_per_byte": "min"},
}

# Our own losses say in their class which tasks they fit; torch's cannot.
TORCH_LOSSES: dict[str, tuple[str, ...]] = {
    "torch.nn.modules.loss.CrossEntropyLoss": ("classification", "language_modelling"),
    "torch.nn.modules.loss.MSELoss": ("regression",),
    "torch.nn.modules.loss.HuberLoss": ("regression",),
    "torch.nn.modules.loss.SmoothL1Loss": ("regression",),
    "torch.nn.modules.loss.L1Loss": ("regression",),
}


def monitors(task: str) -> dict[str, str]:
    """Return every metric that a run of `task` can choose by, with its direction (min or max)."""
    return {f"{part}/{name}": mode for part in ("train", "val") for name, mode in METRICS[task].items()}


def metrics(task: str, means: Sequence[float], unit: float = 1.0) -> dict[str, float]:
    """Return the metrics of `task` from the means of its quantities.

    RMSE is in the target's own unit, `unit` being its standard deviation in training; R2 is one minus the squared
    error over the variance of the targets; perplexity is exp(cross entropy), bits per byte the cross entropy / ln 2.
    """
    loss, rest = means[0], means[1:]
    if task == "classification":
        return {"loss": loss, "accuracy": rest[0]}
    if task == "regression":
        error, mean, square = rest
        variance = square - mean**2
        return {"loss": loss, "rmse": math.sqrt(error) * unit, "r2": 1 - error / variance if variance > 0 else math.nan}
    nats = rest[0]
    return {"loss": loss, "perplexity": math.exp(min(nats, 700.0)), "bits_per_byte": nats / math.log(2)}


def misshapen(task: str, logits: tuple[int, ...], y: tuple[int, ...], loss: tuple[int, ...]) -> tuple[str, str] | None:
    """Return why these shapes do not fit one another, in a sentence of fact and one of remedy; None if they do.

    Tensors of other shapes may broadcast, which gives numbers that mean nothing.

    Args:
        task: A key of METRICS.
        logits: The shape of the predictions.
        y: That of the targets.
        loss: That of the loss.
    """
    shapes = f"The predictions are {[*logits]} and the targets {[*y]}"
    if task == "regression" and logits != y:
        return f"{shapes}, and a regression compares equal shapes.", "Give targets [N, 1], such as y.unsqueeze(1)."
    if task != "regression" and not (len(logits) == 2 and y == logits[:1]):
        words = task.replace("_", " ")
        return f"{shapes}, and {words} takes [N, C] and [N].", "Give the number of its class for each of the N."
    if loss:
        return f"The loss is {[*loss]}, and it has to be one number.", "Let it return its mean, such as reduction=mean."
    return None
