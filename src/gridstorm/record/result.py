"""What came out of a run: how it ended, its score, and what its numbers were made by."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What has become of a run or a trial (compare Optuna's `TrialState`)."""

    WAITING = "waiting"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    DONE = "done"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        """Whether it is one of the four ends."""
        return self in (Status.DONE, Status.PRUNED, Status.DIVERGED, Status.FAILED)

    @property
    def is_bad(self) -> bool:
        """Whether it is an end that nobody wanted."""
        return self in (Status.DIVERGED, Status.FAILED)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The content of result.json.

    Args:
        signature: Of the run's recipe.
        status: How the run ended.
        monitor: The name of the metric that is its score.
        mode: Whether a score is better when it is smaller (`min`) or larger (`max`).
        score: The best one, None where there is none.
        best_epoch: The epoch that had it, counted from 1.
        epochs: How many were trained.
        seconds: Of training.
        parameters: How many training learned.
        error: What went wrong, in words.
        metrics: Those at the best score, and those of the test where there was one.
        warnings: What was warned of in the run.
        findings: The names of what its curves say; none where nobody looked.
        made_by: Names of the code, the data and the build of torch.
    """

    signature: str = ""
    status: Status
    monitor: str
    mode: str
    score: float | None = None
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    parameters: int | None = None
    error: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    made_by: dict[str, str] | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Result":
        """Return the result that a file holds; a ValueError or TypeError: it holds none."""
        values = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        result = cls(**{**values, "status": Status(str(content.get("status")))})
        numbers = (result.score, result.best_epoch, result.parameters, result.epochs, result.seconds)
        if not all(map(is_number, numbers)) or None in numbers[3:]:
            raise TypeError("What should be a number is none.")
        if not isinstance(result.metrics, dict) or not isinstance(result.warnings, list):
            raise TypeError("Its metrics or its warnings are none.")
        if not isinstance(result.findings, list) or not all(isinstance(name, str) for name in result.findings):
            raise TypeError("Its findings are none.")
        if not all(map(is_number, result.metrics.values())):
            raise TypeError("A metric is no number.")
        return result

    def content(self) -> dict[str, Any]:
        """Return what the file holds: a score that is not finite is null, since its JSON is strict."""
        return {**asdict(self), "score": finite(self.score)}


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, None for any other."""
    return value if value is None or math.isfinite(value) else None


def is_number(value: Any) -> bool:
    """Tell whether a value is a number that can be computed with, or none."""
    return value is None or type(value) is float or (type(value) is int and abs(value) < 1e300)


def best_name(monitor: str) -> str:
    """Return the name under which the best score so far is logged: `best/loss` for `val/loss`."""
    return f"best/{monitor.partition('/')[2] or monitor}"
