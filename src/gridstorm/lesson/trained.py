"""What a lesson looks at: runs that were trained, with their curves."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gridstorm.diagnosis import Finding, diagnose, of_record
from gridstorm.record import RunRecord


@dataclass(frozen=True)
class Trained:
    """A run of a lesson.

    Args:
        label: In what it differs from the others.
        train: The training loss of each epoch.
        val: The validation loss of each epoch.
        findings: What the curves say.
        rows: The points of the curves.
        seconds: Of training.
        values: What was set.
    """

    label: str
    train: list[float]
    val: list[float]
    findings: list[Finding]
    rows: list[dict[str, Any]]
    seconds: float
    values: dict[str, Any]

    @property
    def names(self) -> set[str]:
        """The names of the findings."""
        return {finding.name for finding in self.findings}

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return max((int(row["step"]) for row in self.rows), default=0)

    @property
    def best(self) -> float:
        """The least validation loss; infinity where there is none."""
        return float(np.nanmin(self.val)) if np.isfinite(self.val).any() else np.inf

    @property
    def gap(self) -> float:
        """How far validation is above training at the end."""
        return self.val[-1] - self.train[-1]

    def last(self, name: str) -> float:
        """Return the last value of a metric; NaN where there is none."""
        return next((row[name] for row in reversed(self.rows) if row.get(name) is not None), np.nan)


def trained(record: RunRecord, label: str) -> Trained:
    """Return what a run's directory says, for a lesson."""
    curves, result = of_record(record), record.result
    train, val = (curves.train.tolist(), curves.val.tolist()) if curves else ([], [])
    return Trained(
        label,
        train,
        val or [np.nan],
        diagnose(curves) if curves else [],
        record.rows(),
        result.seconds if result else 0.0,
        record.config.values,
    )
