"""`gridstorm compare`: in what runs or sweeps differ, what it did, and their curves on one chart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridstorm.config import brief, leaves, number
from gridstorm.error import Problem, UserError
from gridstorm.record import RunRecord, best_name, is_run
from gridstorm.report import answer_of, plot, table

HIDDEN = ("opt/", "lr")  # what tells how it was trained, and not how good it is
MOST = 8  # that are compared at once, as many as a plot has letters


@dataclass(frozen=True)
class Compared:
    """A run, or the best setting of a sweep.

    Args:
        name: What it is called here.
        runs: Its runs, by seed.
    """

    name: str
    runs: Mapping[int, RunRecord]

    @classmethod
    def of(cls, directory: Path) -> "Compared":
        """Return what is in a directory.

        Raises:
            UserError: It is neither a run nor a sweep, or a sweep without a score.
        """
        if is_run(directory):
            record = RunRecord(directory)
            return cls(directory.name, {int(record.config.values["seed"]): record})
        best = answer_of([directory])[0].best
        if best is None:
            raise UserError([Problem(str(directory), "None of its trials has a score.", "Compare others.")])
        return cls(f"{directory.name} (best)", {run.seed: run.record for run in best.runs if run.record})

    @property
    def first(self) -> RunRecord:
        """The run whose recipe and curve are shown."""
        return next(iter(self.runs.values()))

    def metrics(self) -> dict[str, dict[int, float]]:
        """Return each metric's value with each seed, the score first."""
        found: dict[str, dict[int, float]] = {}
        for seed, record in self.runs.items():
            result = record.result
            for name, value in ((result.monitor, result.score), *result.metrics.items()) if result else ():
                if value is not None and not name.startswith(HIDDEN):
                    found.setdefault(name, {}).setdefault(seed, value)
        return found


def compare(directories: Sequence[Path]) -> str:
    """Return in what runs or sweeps differ, of the first one on.

    Raises:
        UserError: There are fewer than two or too many, or one is neither a run nor a sweep.
    """
    if not 2 <= len(directories) <= MOST:
        fact = f"{len(directories)} were named."
        raise UserError([Problem("compare", fact, f"Name two to {MOST} directories of runs or sweeps.")])
    found = [Compared.of(directory) for directory in directories]
    return "\n\n".join(part for part in (_recipes(found), _metrics(found), _costs(found), _curves(found)) if part)


def _recipes(found: Sequence[Compared]) -> str:
    """Return the hyperparameters in which recipes differ."""
    values = [{**dict(leaves(one.first.config.recipe)), **one.first.config.choices} for one in found]
    keys = dict.fromkeys(key for one in values for key in one)
    shown = [key for key in keys if not key.endswith(("_target_", "_partial_"))]
    different = [
        key
        for key in shown
        if len({brief(one.get(key, "-")) for one in values}) > 1 and key.rpartition(".")[2] != "seed"
    ]
    if not different:
        return "Their recipes are the same, but for the seed."
    rows = [(key, *(brief(one.get(key, "-")) for one in values)) for key in different]
    return table([("recipe", *(one.name for one in found)), *rows])


def _metrics(found: Sequence[Compared]) -> str:
    """Return the metrics side by side, with the difference of two and its 95 % interval."""
    measured = [one.metrics() for one in found]
    names = [name for name in measured[0] if all(name in one for one in measured)]
    rows = []
    for name in names:
        row = [name, *(number(_mean(one[name])) for one in measured)]
        rows.append((*row, *(_difference(measured[0][name], other[name]) for other in measured[1:])))
    header = ("metric", *(one.name for one in found), *(f"{one.name} - {found[0].name}" for one in found[1:]))
    told = [] if any(len(one.runs) > 1 for one in found) else [
        "One run each: how much of this is chance only other seeds tell (sweep.repeats=5)."]  # fmt: skip
    return "\n".join([table([header, *rows]), *told]) if rows else "They have no metric in common."


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values)


def _difference(one: Mapping[int, float], other: Mapping[int, float]) -> str:
    """Return a difference with its interval: Student's t of pairs with the same seed, or Welch's of other runs."""
    both = [other[seed] - one[seed] for seed in one if seed in other]
    if len(both) > 1:
        mean = sum(both) / len(both)
        variance = sum((value - mean) ** 2 for value in both) / (len(both) - 1) / len(both)
        return _with_interval(mean, variance, len(both) - 1)
    mean = _mean(other) - _mean(one)
    if min(len(one), len(other)) < 2:
        return f"{mean:+.4g}"
    parts = [sum((v - _mean(s)) ** 2 for v in s.values()) / (len(s) - 1) / len(s) for s in (one, other)]
    total = sum(parts)
    below = sum(part**2 / (len(s) - 1) for part, s in zip(parts, (one, other), strict=True))
    return _with_interval(mean, total, total**2 / below if below else 1)


def _with_interval(mean: float, variance: float, freedom: float) -> str:
    from scipy.special import stdtrit

    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    return f"{mean:+.4g} ± {half:.2g}"


def _costs(found: Sequence[Compared]) -> str:
    results = [one.first.result for one in found]

    def row(name: str, values: Sequence[Any]) -> tuple[str, ...]:
        return (name, *("-" if value is None else str(value) for value in values))

    rows = [
        row("status", [result and str(result.status) for result in results]),
        row("health", [result and (result.findings[0] if result.findings else None) for result in results]),
        row("epochs", [result and result.epochs for result in results]),
        row("best epoch", [result and result.best_epoch for result in results]),
        row("seconds", [result and number(result.seconds) for result in results]),
        row("parameters", [result and result.parameters and f"{result.parameters:,}" for result in results]),
    ]
    return table([("", *(one.name for one in found)), *rows])


def _curves(found: Sequence[Compared]) -> str:
    """Return the curves of the score on one chart."""
    curves, monitor = {}, str(found[0].first.config.values["monitor"])
    for one in found:
        rows = one.first.rows()
        name = monitor if any(monitor in row for row in rows) else best_name(monitor)
        values = [row[name] for row in rows if isinstance(row.get(name), int | float)]
        if values:
            curves[one.name] = values
    return plot(curves, monitor) if curves else ""
