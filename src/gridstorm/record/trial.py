"""A trial is one configuration; its runs differ in the seed alone. What became of them, and the score."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridstorm.config import Point, RunConfig, label, leaves
from gridstorm.record.result import Result, Status, best_name
from gridstorm.record.run import RunRecord

WORST = (
    Status.FAILED,
    Status.DIVERGED,
    Status.RUNNING,
    Status.PRUNED,
    Status.INTERRUPTED,
    Status.WAITING,
    Status.DONE,
)  # of a trial's runs, the first of these is the trial's


@dataclass
class TrialRun:
    """One training of a sweep.

    Args:
        config: Its configuration.
        seed: Its seed.
        record: Its directory, None before it has one.
        attempts: How often its process died.
        result: What came out, None while it is not over.
        running: Whether a worker has it.
    """

    config: RunConfig
    seed: int
    record: RunRecord | None = None
    attempts: int = 0
    result: Result | None = None
    running: bool = False

    @property
    def status(self) -> Status:
        """What has become of it."""
        if self.result:
            return self.result.status
        if self.running:
            return Status.RUNNING
        return Status.INTERRUPTED if self.record and self.record.begun else Status.WAITING

    @property
    def score(self) -> float | None:
        """The best value of the monitored metric, None where there is none."""
        return self.result.score if self.result else None

    def refresh(self) -> None:
        """Take up what its directory says."""
        self.result = self.record.result if self.record else None


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
    runs: list[TrialRun]
    number: int = 0
    ask: int | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)

    @property
    def signature(self) -> str:
        """Names the configuration: the signature of its first run."""
        return self.runs[0].config.signature

    @property
    def label(self) -> str:
        """The values of the swept keys in a few characters."""
        return label(self.values)

    @property
    def values(self) -> Point:
        """The values of the swept keys as they are trained: of an interpolation what it stood for."""
        if not any("${" in str(value) for value in self.point.values()):
            return self.point
        config = self.runs[0].config.values
        held = {**dict(leaves(config)), **config}
        return {key: held.get(key, value) if "${" in str(value) else value for key, value in self.point.items()}

    @property
    def status(self) -> Status:
        """Failed or diverged as soon as a run is; pruned if its first run was; done when all are."""
        statuses = [run.status for run in self.runs]
        return next(status for status in WORST if status in statuses)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be trained."""
        return self.runs[0].status == Status.PRUNED or all(run.status.is_finished for run in self.runs)

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
        return (trial.status not in (Status.DONE, Status.PRUNED), trial.score is None, sign * (trial.score or 0.0))

    return sorted(trials, key=rank)


def first_curve(trial: Trial) -> list[tuple[int, float | None]]:
    """Return the curve of a trial's first run."""
    run = trial.runs[0]
    return curve(run.record.rows(), run.config) if run.record else []


def curve(rows: Sequence[Mapping[str, Any]], config: RunConfig) -> list[tuple[int, float | None]]:
    """Return (epoch, best score so far) at each epoch's end: what the run would leave if it were stopped there."""
    name = best_name(config.values["monitor"])
    return [(int(row["epoch"]), row[name]) for row in rows if name in row]
