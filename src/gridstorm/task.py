"""The kinds of task, what each of them logs, and which of torch's losses fit it."""

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
