"""What to try next and what to cut short: Optuna, in memory, rebuilt from what the runs' directories say."""

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zlib import crc32

from gridstorm.command import Axis
from gridstorm.config import Point
from gridstorm.error import Problem, UserError, refused
from gridstorm.record import Status
from gridstorm.target import build

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial


Curve = Sequence[tuple[int, float | None]]
STUCK = 3  # asks in a row that came to nothing, after which one is drawn at random


class Study:
    """Asks a sampler for points and a pruner which runs to cut short.

    Ask n is a pure function of the seed, n and what is known of the trials before it: each ask has a sampler of its
    own, so that nothing is lost when a process ends. A trial has the number of its ask.

    Args:
        axes: What the sweep spans.
        choices: What is chosen for each group that is no axis.
        sampler: The sampler's configuration; None for a grid, whose points are placed.
        pruner: The pruner's configuration, where `max_resource: auto` is the number of epochs; None cuts nothing short.
        mode: `min` or `max`: which scores are better.
        seed: Of the sweep.
        max_epochs: Of a run that nothing cuts short.

    Raises:
        UserError: The sampler or the pruner cannot be built, or the sampler cannot search this space.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        choices: Mapping[str, str],
        sampler: Mapping[str, Any] | None,
        pruner: Mapping[str, Any] | None,
        *,
        mode: str,
        seed: int,
        max_epochs: int,
    ) -> None:
        from optuna import create_study, samplers, storages
        from optuna.study import StudyDirection

        self._axes = sorted(axes, key=lambda axis: axis.condition is not None)  # a condition is decided before its axis
        self._space = {axis.name: _distribution(axis) for axis in self._axes}
        self._choices, self._seed, self._max_epochs = choices, seed, max_epochs
        self._worst = math.inf if mode == "min" else -math.inf
        with _quietly():
            self._sampler = build({**(sampler or {"_target_": "optuna.samplers.RandomSampler"}), "_partial_": True})
            try:
                kind = type(self._fresh(0))
            except ValueError as error:
                raise refused("sampler", error) from error
            if issubclass(kind, samplers.CmaEsSampler):
                fact = "Optuna's CMA-ES keeps its state as a pickle, which is never loaded from a directory."
                raise UserError([Problem("sampler._target_", fact, "Choose sampler=cmaes.")])
            self.cuts = pruner is not None
            pruner = pruner or {"_target_": "optuna.pruners.NopPruner"}
            resource = {"max_resource": max_epochs} if pruner.get("max_resource") == "auto" else {}
            self._pruner = build({**pruner, **resource})
            self._storage = storages.InMemoryStorage()
            direction = StudyDirection.MINIMIZE if mode == "min" else StudyDirection.MAXIMIZE
            # Hyperband hashes the study's name.
            self._study = create_study(
                storage=self._storage, study_name="sweep", direction=direction, pruner=self._pruner
            )
        self.upfront = issubclass(kind, samplers.RandomSampler) or bool(getattr(kind, "upfront", False))
        # A Gaussian process reads complete trials alone, and would go back to what was cut short.
        self._prune_as = "COMPLETE" if issubclass(kind, samplers.GPSampler) else "PRUNED"
        self._count = 0

    def propose(self) -> tuple[int, Point, dict[str, Any]]:
        """Return the number of a new running trial, its point, and what must be kept with it to be recalled."""
        with _quietly():
            self._study.sampler = self._fresh(self._count)
            trial = self._study.ask()
            self._count += 1
            point: Point = {}
            for axis in self._axes:
                if axis.exists(point, self._choices):
                    point |= self._suggested(trial, axis)
            return trial.number, point, self._kept(trial.number)

    def place(self, point: Point) -> int:
        """Begin a trial at a point that was chosen elsewhere; return its number."""
        number = self._count
        self.recall(number, point, {}, Status.RUNNING, None, [])
        return number

    def recall(
        self, number: int, point: Point, attrs: Mapping[str, Any], state: str, score: float | None, curve: Curve
    ) -> None:
        """Add a trial that the directories know; trials are recalled in the order of their numbers.

        Args:
            number: Of its ask; numbers that are left out came to nothing.
            point: Its values; those that the axes do not span are not searched from.
            attrs: What `propose` gave to be kept with it.
            state: `running`, or one that `conclude` takes.
            score: Its score, None if it has none.
            curve: Its score after each epoch, which is counted from 1.
        """
        from optuna.trial import TrialState, create_trial

        if number < self._count:
            raise ValueError(f"Trial {number} is recalled after trial {self._count - 1}.")
        here = [axis for axis in self._axes if axis.exists(point, self._choices)]
        params = {axis.name: code for axis in here if (code := _code(axis, point)) is not None}
        spaces = {name: self._space[name] for name in params}
        for _ in range(self._count, number):
            self._study.add_trial(create_trial(state=TrialState.FAIL))
        self._study.add_trial(
            create_trial(state=TrialState.RUNNING, params=params, distributions=spaces, system_attrs=_plain(attrs))
        )
        self._count = number + 1
        for epoch, value in curve:
            self.report(number, epoch, value)
        if state != Status.RUNNING:
            self.conclude(number, state, score)

    def report(self, number: int, epoch: int, score: float | None) -> bool:
        """Add a point to a running trial's curve, epochs counted from 1; return whether to cut the trial short."""
        if score is None:
            return False
        from optuna.trial import Trial

        with _quietly():
            trial = Trial(self._study, self._id(number))
            trial.report(score, epoch)
            return epoch < self._max_epochs and trial.should_prune()  # after the last epoch nothing is left to be saved

    def conclude(self, number: int, state: str, score: float | None = None) -> None:
        """End a running trial.

        A diverged one counts as a complete one with the worst score there is, which is how tpe, gp and cmaes all learn
        to keep away; Optuna's samplers ignore failed ones.

        Args:
            number: Of the trial.
            state: What came of it; `failed` also of a point that is not trained, since it is known or wrong.
            score: The score of one that is done.
        """
        from optuna.trial import TrialState

        curve = self._storage.get_trial(self._id(number)).intermediate_values
        outcome, value = "FAIL", None
        if state in (Status.DONE, Status.DIVERGED):
            finite = state == Status.DONE and score is not None and math.isfinite(score)
            outcome, value = "COMPLETE", score if finite else self._worst
        elif state == Status.PRUNED:
            last = curve[max(curve)] if curve else math.nan
            outcome = self._prune_as
            value = (self._worst if math.isnan(last) else last) if outcome == "COMPLETE" else None
        with _quietly():
            self._study.tell(number, value, state=TrialState[outcome])

    def _fresh(self, number: int) -> "BaseSampler":
        """Return the sampler of an ask."""
        from optuna.samplers import RandomSampler
        from optuna.trial import TrialState

        seed = crc32(f"{self._seed}/{number}".encode())
        last = [self._storage.get_trial(self._id(earlier)).state for earlier in range(max(number - STUCK, 0), number)]
        # Without this it would propose the same known point forever, since no result changes what it has learned.
        if last == [TrialState.FAIL] * STUCK and not self.upfront:
            return RandomSampler(seed=seed)
        arguments = {"seed": seed, "sweep_seed": self._seed, "space": self._space}
        taken = inspect.signature(self._sampler).parameters
        sampler: BaseSampler = self._sampler(**{name: value for name, value in arguments.items() if name in taken})
        return sampler

    def _kept(self, number: int) -> dict[str, Any]:
        """Return what the sampler left with a trial, and take from it what a rebuilt study would not know."""
        attrs = self._storage.get_trial(self._id(number)).system_attrs
        # tpe and gp note there what they would have drawn for axes that this trial has not.
        for name in attrs.keys() - _plain(attrs).keys():
            self._storage.set_trial_system_attr(self._id(number), name, "")
        return _plain(attrs)

    def _suggested(self, trial: "Trial", axis: Axis) -> Point:
        if axis.points:
            ordered, last = _ordinal(axis), len(axis.points) - 1
            code = (
                trial.suggest_int(axis.name, 0, last)
                if ordered
                else trial.suggest_categorical(axis.name, range(last + 1))
            )
            return dict(zip(axis.keys, axis.points[code], strict=True))
        if axis.whole:
            return {axis.keys[0]: trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)}
        value = legible(trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log), axis)
        # The study remembers what is trained, as a study rebuilt from the directories does.
        self._storage.set_trial_param(self._id(trial.number), axis.name, value, self._space[axis.name])
        return {axis.keys[0]: value}

    def _id(self, number: int) -> int:
        study = self._storage.get_study_id_from_name("sweep")
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)


def legible(value: float, axis: Axis) -> float:
    """Return a value of an interval with about four digits that tell it from others, still inside the interval."""
    digits = 4 - math.ceil(math.log10(axis.high - axis.low))
    if axis.log:
        digits = max(digits, 3 - math.floor(math.log10(value)))
    return float(min(max(round(value, digits), axis.low), axis.high))


def _distribution(axis: Axis) -> "BaseDistribution":
    """Return what Optuna draws from: an interval's values, or indices of listed points."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.points:
        count = len(axis.points)
        return IntDistribution(0, count - 1) if _ordinal(axis) else CategoricalDistribution(range(count))
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(float(axis.low), float(axis.high), log=axis.log)


def _ordinal(axis: Axis) -> bool:
    """Tell whether listed numbers rise or fall all along, for each key, so that a sampler can use their order."""
    columns = [*zip(*axis.points, strict=True)]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for column in columns for value in column):
        return False
    return all(list(column) in (sorted(set(column)), sorted(set(column), reverse=True)) for column in columns)


def _code(axis: Axis, point: Point) -> float | None:
    """Return what the study holds for a point's values: an index or a number, None for what the axis does not span."""
    if not all(key in point for key in axis.keys):
        return None
    values = [point[key] for key in axis.keys]
    if axis.points:
        rows = [repr([*row]) for row in axis.points]  # written out, since 1 equals True
        return rows.index(repr(values)) if repr(values) in rows else None
    (value,) = values
    number = isinstance(value, int if axis.whole else int | float) and not isinstance(value, bool)
    return value if number and axis.low <= value <= axis.high else None


def _plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sampler's attributes without texts, in which some keep pickles; no sampler here needs them."""
    return {name: value for name, value in attrs.items() if not isinstance(value, str)}


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence Optuna's log messages and the warnings about its own workings."""
    from optuna import logging
    from optuna.exceptions import ExperimentalWarning

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # some of its samplers are new, which the choice says
            warnings.filterwarnings("ignore", "Clip non-finite values")  # a diverged run is told as the worst there is
            warnings.filterwarnings("ignore", "All-NaN slice encountered")  # a score that is no number is shown as such
            yield
    finally:
        logging.set_verbosity(level)
