"""A trial is one configuration; its runs differ in the seed alone. What became of them, and the score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gridstorm.config import Composed, Point, label
from gridstorm.record.run import Record

OVER = ("done", "pruned", "diverged", "failed")  # how a run can end
BAD = ("diverged", "failed")


@dataclass
class Run:
    """One training of a sweep.

    Args:
        composed: Its configuration.
        seed: Its seed.
        record: Its directory, None before it has one.
        attempts: How often its process died.
        result: What came out; empty while it is not over.
        running: Whether a worker has it.
    """

    composed: Composed
    seed: int
    record: Record | None = None
    attempts: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    running: bool = False

    @property
    def status(self) -> str:
        """One of waiting, interrupted, running, done, pruned, diverged, failed."""
        if self.result:
            return str(self.result["status"])
        if self.running:
            return "running"
        return "interrupted" if self.record and self.record.begun else "waiting"

    @property
    def score(self) -> float | None:
        """The best value of the monitored metric, None where there is none."""
        return self.result.get("score") if self.result else None

    def refresh(self) -> None:
        """Take up what its directory says."""
        self.result = (self.record.result if self.record else None) or {}


@dataclass
class Trial:
    """One configuration.

    Args:
        point: The values of the swept keys.
        runs: One for each seed.
        number: Its number in the sweep, from 1; 0 before it has one.
        ask: The number of the sampler's proposal, None where no sampler proposed it.
        attrs: What the sampler keeps with it.
        merged: The labels of other points with the same recipe, which this trial stands for.
    """

    point: Point
    runs: list[Run]
    number: int = 0
    ask: int | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)

    @property
    def signature(self) -> str:
        """Names the configuration: the signature of its first run."""
        return self.runs[0].composed.signature

    @property
    def label(self) -> str:
        """The values of the swept keys in a few characters."""
        return label(self.point)

    @property
    def status(self) -> str:
        """Failed or diverged as soon as a run is; pruned if its first run was; done when all are."""
        found = [run.status for run in self.runs]
        worst = ("failed", "diverged", "running", "pruned", "interrupted", "waiting", "done")
        return next(status for status in worst if status in found)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be trained."""
        return self.runs[0].status == "pruned" or all(run.status in OVER for run in self.runs)

    @property
    def score(self) -> float | None:
        """The mean of its runs' scores, None where there is none."""
        scores = self._scores()
        return sum(scores) / len(scores) if scores else None

    @property
    def interval(self) -> float | None:
        """Half the width of the 95 % confidence interval of the mean, None for a single run.

        Student's t with n - 1 degrees of freedom: t * s / sqrt(n).
        """
        scores = self._scores()
        return half_width(scores) if len(scores) > 1 else None

    def _scores(self) -> list[float]:
        return [run.score for run in self.runs if run.score is not None]


def half_width(scores: Sequence[float]) -> float:
    """Return half the width of the 95 % confidence interval of the mean of two or more values."""
    from scipy.special import stdtrit

    num = len(scores)
    mean = sum(scores) / num
    variance = sum((score - mean) ** 2 for score in scores) / (num - 1)
    return float(stdtrit(num - 1, 0.975)) * math.sqrt(variance / num)


def ranked(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """Return the trials, best score first; those that are done before those that failed or are not over."""
    sign = 1 if mode == "min" else -1

    def rank(trial: Trial) -> tuple[bool, bool, float]:
        return (trial.status not in ("done", "pruned"), trial.score is None, sign * (trial.score or 0.0))

    return sorted(trials, key=rank)
