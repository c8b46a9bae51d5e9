"""What is known of a plan before it is trained: whether every model can be built, and how long it will all take."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from gridstorm.config import RunConfig, duration, leaves
from gridstorm.error import Problem, UserError
from gridstorm.launcher import Died, Launcher
from gridstorm.record import Trial
from gridstorm.report import table
from gridstorm.sweeper import tryout
from gridstorm.sweeper.estimate import Estimate, pace
from gridstorm.sweeper.grouping import Fusing
from gridstorm.target import at_work, within

SHAPELESS = (
    "seed",
    "batch_size",
    "dropout",
)  # last names; with them every value would be built, though nothing differs


@dataclass(frozen=True)
class Built:
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
        self._built: dict[str, Built] = {}

    def built(self, config: RunConfig) -> Built:
        """Return what building a configuration showed; one whose seed decides its data may not have been built yet."""
        if (shape := _shape(config)) not in self._built:
            self._build({shape: config})
        return self._built[shape]

    def build_all(self, trials: Sequence[Trial]) -> None:
        """Build the data and the model of every configuration, each distinct one once.

        Raises:
            UserError: Some cannot be built; every problem is in it.
        """
        distinct = {_shape(run.config): run.config for trial in trials for run in trial.runs[:1]}
        new = {key: config for key, config in distinct.items() if key not in self._built}
        for _ in range(self.launcher.places - len(new) if new else 0):
            self._submit(tryout.probe, next(iter(distinct.values())))  # an idle place imports what data need
        self._build(new)

    def _build(self, new: Mapping[str, RunConfig]) -> None:
        answers = dict(zip(new, self._answers(tryout.probe, new.values()), strict=True))
        problems = [problem for built in answers.values() for problem in built.get("problems", ())]
        if problems:
            raise UserError(problems)
        self._built |= {key: Built(**built) for key, built in answers.items()}

    def _submit(self, question: Callable[[Any], Any], about: Any) -> "Future[Any]":
        return self.launcher.submit(within, at_work(), question, about)

    def _answers(self, question: Callable[[Any], Any], about: Iterable[Any]) -> list[Any]:
        """Ask workers the same of several things, once more where a process died; return what they answer.

        Raises:
            UserError: One fails, or its process dies again and again.
        """
        asked = [(item, self._submit(question, item)) for item in about]
        return [self._answer(question, item, future) for item, future in asked]

    def _answer(self, question: Callable[[Any], Any], about: Any, future: "Future[Any]", retries: int = 2) -> Any:
        try:
            return future.result()
        except Exception as error:  # of the user's own code, of its process, or of the server that workers come from
            if isinstance(error, Died) and retries:
                return self._answer(question, about, self._submit(question, about), retries - 1)
            message = f"its process ended: {error}" if isinstance(error, Died) else f"{type(error).__name__}: {error}"
            fact, remedy = f"It cannot be built; {message.rstrip('.')}.", "Try one configuration alone, without -m."
            raise UserError([Problem("configuration", fact, remedy)]) from error

    def speedups(self, groups: Sequence[list[RunConfig]], measured: bool) -> list[Any]:
        """Return for each group of configurations what `tryout.time_group` says of training them together."""
        question = partial(tryout.time_group, measured=measured)
        # An idle place does so too: it loads what a first stacked step needs.
        idle = [self._submit(question, groups[0]) for _ in range(self.launcher.places - len(groups)) if groups]
        answers = self._answers(question, groups)
        wait(idle)
        return answers

    def estimate(self, trials: Sequence[Trial], fusing: Fusing, drawn: int | None = None) -> "Estimate":
        """Train each configuration of another pace for a few steps, and estimate the whole sweep.

        Args:
            trials: Those of the sweep; where they are drawn, some that stand for them.
            fusing: Which runs are trained together.
            drawn: How many will be drawn, None where `trials` are all.
        """
        distinct = {pace(run.config): run.config for trial in trials for run in trial.runs}
        pilots = dict(zip(distinct, self._answers(tryout.time_run, distinct.values()), strict=True))
        return Estimate(trials, pilots, fusing, self.launcher.places, drawn or len(trials), drawn is not None)


def printed(trials: Sequence[Trial], preflight: Preflight, estimate: Estimate) -> str:
    """Return a plan as a table and three lines."""
    rows = [
        (
            "" if estimate.drawn else str(number),
            trial.label,
            f"{preflight.built(trial.runs[0].config).parameters:,}",
            f"{estimate.step(trial) * 1000:.2f}",
            duration(estimate.seconds(trial)),
        )
        for number, trial in enumerate(trials, 1)
    ]
    header = ("", "ends of the space" if estimate.drawn else "trial", "parameters", "ms a step", "expected")
    room = sum(map(estimate.bytes, trials)) / len(trials) * estimate.count
    lines = [
        f"{estimate.count} trials, {estimate.count * len(trials[0].runs)} runs",
        f"expected time  {duration(estimate.total(trials))} with {estimate.places} at a time",
        f"checkpoints    {room / 2**20:.1f} MiB",
    ]
    return "\n".join([table([header, *rows], right=(2, 3, 4)), "", *lines, *filter(None, [str(estimate.fusing)])])


def _shape(config: RunConfig) -> str:
    """Return what decides the data and the model's tensors, as text."""
    chosen = {name: config.values[name] for name in ("data", "model")}
    return json.dumps({key: value for key, value in leaves(chosen) if key.rpartition(".")[2] not in SHAPELESS})
