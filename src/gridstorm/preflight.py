"""What is known of a plan before it is trained: whether every model can be built, and how long it will all take."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from gridstorm import job
from gridstorm.fusing import Fusing
from gridstorm.launcher import Died, Launcher
from gridstorm.recipe import Composed
from gridstorm.refusal import Problem, Refusal
from gridstorm.resolve import leaves
from gridstorm.table import table
from gridstorm.trial import Trial

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
        new = {key: one for key, one in distinct.items() if key not in self._facts}
        for _ in range(self.launcher.places - len(new) if new else 0):
            self.launcher.submit(job.inspect, next(iter(distinct.values())))  # an idle place imports what data need
        found = dict(zip(new, self._answers(job.inspect, new.values()), strict=True))
        problems = [problem for facts in found.values() for problem in facts.get("problems", ())]
        if problems:
            raise Refusal(problems)
        self._facts |= {key: Facts(**facts) for key, facts in found.items()}

    def _answers(self, question: Callable[[Any], Any], about: Iterable[Any]) -> list[Any]:
        """Ask workers the same of several things, once more where a process died; return what they answer.

        Raises:
            Refusal: One fails, or its process dies again and again.
        """
        asked = [(one, self.launcher.submit(question, one)) for one in about]
        return [self._answer(question, one, future) for one, future in asked]

    def _answer(self, question: Callable[[Any], Any], about: Any, future: "Future[Any]", retries: int = 2) -> Any:
        try:
            return future.result()
        except Exception as error:  # of the user's own code, of its process, or of the server that workers come from
            if isinstance(error, Died) and retries:
                return self._answer(question, about, self.launcher.submit(question, about), retries - 1)
            said = f"its process ended: {error}" if isinstance(error, Died) else f"{type(error).__name__}: {error}"
            fact, remedy = f"It cannot be built; {said.rstrip('.')}.", "Try one configuration alone, without -m."
            raise Refusal([Problem("configuration", fact, remedy)]) from error

    def gains(self, groups: Sequence[list[Composed]], measured: bool) -> list[Any]:
        """Return for each group of configurations what `gridstorm.job.gain` says of training them together."""
        question = partial(job.gain, measured=measured)
        # An idle place does so too: it loads what a first stacked step needs.
        idle = [self.launcher.submit(question, groups[0]) for _ in range(self.launcher.places - len(groups)) if groups]
        found = self._answers(question, groups)
        wait(idle)
        return found

    def estimate(self, trials: Sequence[Trial], fusing: Fusing, drawn: int | None = None) -> "Estimate":
        """Train each configuration of another pace for a few steps, and estimate the whole sweep.

        Args:
            trials: Those of the sweep; where they are drawn, some that stand for them.
            fusing: Which runs are trained together.
            drawn: How many will be drawn, None where `trials` are all.
        """
        distinct = {_pace(run.composed): run.composed for trial in trials for run in trial.runs}
        pilots = dict(zip(distinct, self._answers(job.pilot, distinct.values()), strict=True))
        return Estimate(trials, pilots, fusing, self.launcher.places, drawn or len(trials), drawn is not None)


@dataclass(frozen=True)
class Estimate:
    """How long a sweep would take, and the room that its checkpoints need.

    Args:
        trials: Those of the sweep, or some that stand for them.
        pilots: What was measured, by pace.
        fusing: Which runs are trained together.
        places: How many runs are trained at a time.
        count: How many trials the sweep has.
        drawn: Whether `trials` only stand for those that will be drawn.
    """

    trials: Sequence[Trial]
    pilots: Mapping[str, Mapping[str, float]]
    fusing: Fusing
    places: int
    count: int
    drawn: bool

    def seconds(self, trial: Trial) -> float:
        """Return the expected time of the runs of a trial."""
        gains = self.fusing.gains
        return sum(
            self.pilots[_pace(run.composed)]["seconds"] / gains.get(self.fusing.key(run), 1.0) for run in trial.runs
        )

    def bytes(self, trial: Trial) -> float:
        """Return the room that the checkpoints of a trial need."""
        return sum(self.pilots[_pace(run.composed)]["bytes"] for run in trial.runs)

    def step(self, trial: Trial) -> float:
        """Return the measured seconds of a training step."""
        return self.pilots[_pace(trial.runs[0].composed)]["step"]

    def total(self, trials: Sequence[Trial]) -> float:
        """Return the expected seconds until as many trials as `count`, such as these, are over."""
        return sum(map(self.seconds, trials)) / len(trials) * self.count / self.places


def printed(trials: Sequence[Trial], preflight: Preflight, estimate: Estimate) -> str:
    """Return a plan as a table and three lines."""
    rows = [
        (
            "" if estimate.drawn else str(number),
            trial.label,
            f"{preflight.facts(trial.runs[0].composed).parameters:,}",
            f"{estimate.step(trial) * 1000:.2f}",
            duration(estimate.seconds(trial)),
        )
        for number, trial in enumerate(trials, 1)
    ]
    header = ("", "ends of the space" if estimate.drawn else "configuration", "parameters", "ms a step", "expected")
    room = sum(map(estimate.bytes, trials)) / len(trials) * estimate.count
    lines = [
        f"{estimate.count} configurations, {estimate.count * len(trials[0].runs)} runs",
        f"expected time  {duration(estimate.total(trials))} with {estimate.places} at a time",
        f"checkpoints    {room / 2**20:.1f} MiB",
    ]
    return "\n".join([table([header, *rows], right=(2, 3, 4)), "", *lines, *filter(None, [str(estimate.fusing)])])


def within(trials: list[Trial], estimate: Estimate, budget: float, trim: bool) -> tuple[list[Trial], int]:
    """Return the trials that fit into `budget` seconds, the first ones where some do not, and how many they are.

    Of trials that are drawn, which are not known yet, only the number changes.

    Raises:
        Refusal: They do not all fit, and `trim` is not set, or not even one fits.
    """
    whole = estimate.total(trials)
    if whole <= budget:
        return trials, estimate.count
    ends = accumulate(estimate.seconds(trial) / estimate.places for trial in trials)
    fitting = int(estimate.count * budget / whole) if estimate.drawn else sum(end <= budget for end in ends)
    if trim and fitting:
        return (trials if estimate.drawn else trials[:fitting]), fitting
    fact = f"The sweep would take {duration(whole)}, and {fitting} of {estimate.count} configurations fit."
    remedy = f"Allow sweep.budget={duration(whole)}"
    remedy += ", or add sweep.trim=true to train only those that fit." if fitting else "."
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
