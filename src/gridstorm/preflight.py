"""What is known of a plan before it is trained: whether every model can be built, and how long it will all take."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from gridstorm import job
from gridstorm.launcher import Died, Launcher
from gridstorm.recipe import Composed
from gridstorm.refusal import Problem, Refusal
from gridstorm.resolve import leaves
from gridstorm.table import table
from gridstorm.trial import Run, Trial

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SHAPELESS = ("seed", "batch_size", "dropout")  # by the last name: what changes neither the data nor a tensor's shape
PACE = ("data", "model", "optimizer", "trainer")  # what decides how long a step takes


@dataclass(frozen=True)
class Facts:
    """What building one configuration showed.

    Args:
        data: The data's fingerprint.
        torch: The version.
        parameters: How many the model has.
    """

    data: str
    torch: str
    parameters: int


class Preflight:
    """Builds each distinct data set and model once, where jobs run."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self._facts: dict[str, Facts] = {}

    def facts(self, composed: Composed) -> Facts:
        """Return what building a configuration showed; `look` must have seen it."""
        return self._facts[_shape(composed)]

    def look(self, trials: Sequence[Trial]) -> None:
        """Build the data and the model of every configuration, each distinct one once.

        Raises:
            Refusal: Some cannot be built; every problem is in it.
        """
        distinct = {_shape(run.composed): run.composed for trial in trials for run in trial.runs[:1]}
        new = {key: self.launcher.submit(job.inspect, one) for key, one in distinct.items() if key not in self._facts}
        found = {key: _answer(future) for key, future in new.items()}
        problems = [problem for facts in found.values() for problem in facts.get("problems", ())]
        if problems:
            raise Refusal(problems)
        self._facts |= {key: Facts(**facts) for key, facts in found.items()}

    def estimate(self, trials: Sequence[Trial]) -> "Estimate":
        """Train each configuration of another pace for a few steps, and estimate the whole sweep."""
        runs = [run for trial in trials for run in trial.runs]
        distinct = {_pace(run.composed): run.composed for run in runs}
        asked = {key: self.launcher.submit(job.pilot, one) for key, one in distinct.items()}
        return Estimate(runs, {key: _answer(future) for key, future in asked.items()}, self.launcher.places)


@dataclass(frozen=True)
class Estimate:
    """How long runs would take, and the room that their checkpoints need."""

    runs: Sequence[Run]
    pilots: Mapping[str, Mapping[str, float]]
    places: int

    def seconds(self, run: Run) -> float:
        """Return the expected time of one run."""
        return self.pilots[_pace(run.composed)]["seconds"]

    @property
    def total(self) -> float:
        """The expected seconds until all are over, with the given places."""
        return sum(map(self.seconds, self.runs)) / self.places

    @property
    def bytes(self) -> float:
        """The room that the checkpoints of all runs need."""
        return sum(self.pilots[_pace(run.composed)]["bytes"] for run in self.runs)

    def step(self, run: Run) -> float:
        """Return the measured seconds of a training step."""
        return self.pilots[_pace(run.composed)]["step"]


def printed(trials: Sequence[Trial], preflight: Preflight, estimate: Estimate) -> str:
    """Return a plan as a table and three lines."""
    rows = [
        (
            str(number),
            trial.label,
            f"{preflight.facts(trial.runs[0].composed).parameters:,}",
            f"{estimate.step(trial.runs[0]) * 1000:.2f}",
            duration(sum(map(estimate.seconds, trial.runs))),
        )
        for number, trial in enumerate(trials, 1)
    ]
    header = ("", "configuration", "parameters", "ms a step", "expected")
    runs = len(estimate.runs)
    lines = [
        f"{len(trials)} configurations, {runs} runs",
        f"expected time  {duration(estimate.total)} with {estimate.places} at a time",
        f"checkpoints    {estimate.bytes / 2**20:.1f} MiB",
    ]
    return "\n".join([table([header, *rows], right=(2, 3, 4)), "", *lines])


def within(trials: Sequence[Trial], estimate: Estimate, budget: float, trim: bool) -> list[Trial]:
    """Return the trials that fit into `budget` seconds, the first ones where some do not.

    Raises:
        Refusal: They do not all fit, and `trim` is not set, or not even one fits.
    """
    if estimate.total <= budget:
        return [*trials]
    kept, used = [], 0.0
    for trial in trials:
        used += sum(map(estimate.seconds, trial.runs)) / estimate.places
        if used > budget:
            break
        kept.append(trial)
    if trim and kept:
        return kept
    fact = f"The sweep would take {duration(estimate.total)}, and {len(kept)} of {len(trials)} configurations fit."
    remedy = f"Allow sweep.budget={duration(estimate.total)}"
    remedy += ", or add sweep.trim=true to train only those that fit." if kept else "."
    raise Refusal([Problem(f"sweep.budget={duration(budget)}", fact, remedy)])


def seconds(key: str, text: str | float | None) -> float | None:
    """Return a duration such as `90`, `90s`, `30m`, `2h` or `1d` in seconds; None for none.

    Raises:
        Refusal: It is no duration.
    """
    if text is None or isinstance(text, int | float):
        return text
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        value = float(number) * UNITS[unit]
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise Refusal([Problem(f"{key}={text}", "It is no duration.", f"Write seconds, or {key}=30m, {key}=2h.")])
    return value


def duration(value: float) -> str:
    """Return seconds as one number with a unit: `45s`, `12m`, `3.5h`."""
    if value < 100:
        return f"{value:.3g}s"
    unit = "m" if value < 6000 else "h" if value < 172800 else "d"
    return f"{value / UNITS[unit]:.3g}{unit}"


def _answer(future: "Future[Any]") -> Any:
    try:
        return future.result()
    except Exception as error:  # of the user's own code, of its process, or of the server that workers come from
        said = f"its process ended: {error}" if isinstance(error, Died) else f"{type(error).__name__}: {error}"
        fact, remedy = f"It cannot be built; {said.rstrip('.')}.", "Try one configuration alone, without -m."
        raise Refusal([Problem("configuration", fact, remedy)]) from error


def _shape(composed: Composed) -> str:
    """Return what decides the data and the model's tensors, as text."""
    chosen = {name: composed.config[name] for name in ("data", "model")}
    return json.dumps({key: value for key, value in leaves(chosen) if key.rpartition(".")[2] not in SHAPELESS})


def _pace(composed: Composed) -> str:
    """Return what decides how long a run takes, as text: numbers of the optimizer do not."""
    chosen = {name: composed.config[name] for name in PACE} | {"optimizer": composed.config["optimizer"]["_target_"]}
    return json.dumps(
        {key: value for key, value in leaves(chosen) if key.rpartition(".")[2] not in ("seed", "dropout")}
    )
