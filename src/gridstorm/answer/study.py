"""A sweep as figures: its settings by their keys, and the scores of each by seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridstorm.config import brief
from gridstorm.record import Status, Trial, TrialRun, half_width
from gridstorm.statistics import Points

Floats = NDArray[np.float64]
LISTED = 12  # different values, of which more were hardly listed, but drawn
DECADE = 10  # ratio of a key's largest and smallest value, from which it counts by its logarithm
SEED = "seed"
MISSING = "-"  # the value of a key that a setting has not, as with model.depth of a model without depth


def short(value: Any) -> str:
    """Return a value as a sentence names it: a number with four digits."""
    return brief(float(f"{value:.4g}")) if isinstance(value, float) else brief(value)


@dataclass(frozen=True)
class Key:
    """A key that varies.

    Args:
        name: Its dotted name.
        levels: The values that were tried, numbers in their order.
        is_log: Whether a number counts by its logarithm.
    """

    name: str
    levels: tuple[Any, ...]
    is_log: bool = False

    @cached_property
    def is_number(self) -> bool:
        """Whether it has an order and distances."""
        return all(isinstance(level, int | float) and not isinstance(level, bool) for level in self.levels)

    @property
    def is_positive(self) -> bool:
        """Whether its values are numbers above 0, of which there are logarithms."""
        return self.is_number and self.levels[0] > 0

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(level, int) for level in self.levels)

    def place(self, value: Any) -> float:
        """Return where a number is between the smallest (0) and the largest (1) that was tried."""
        low, high, value = (math.log(x) if self.is_log else float(x) for x in (self.levels[0], self.levels[-1], value))
        return (value - low) / (high - low) if high > low else 0.5

    def index(self, setting: "Setting") -> int:
        """Return which of the levels a setting has, from 0 on."""
        return [brief(level) for level in self.levels].index(brief(setting.values.get(self.name, MISSING)))

    def at(self, place: float) -> float:
        """Return the number at a place; below 0 and above 1 it goes on."""
        low, high = (math.log(x) if self.is_log else float(x) for x in (self.levels[0], self.levels[-1]))
        found = low + place * (high - low)
        return math.exp(found) if self.is_log else found

    def written(self, value: Any) -> str:
        """Return a value as it is shown."""
        return MISSING if value is MISSING else short(value)


@dataclass(frozen=True)
class Setting:
    """One configuration: its runs differ in their seeds alone.

    Args:
        values: Of the swept keys, without the seed.
        losses: The score of each seed, its sign turned where larger ones are better.
        runs: Its runs.
        number: Of its first trial.
        status: What has become of it.
    """

    values: Mapping[str, Any]
    losses: Mapping[int, float]
    runs: Sequence[TrialRun] = ()
    number: int = 0
    status: Status = Status.DONE

    @property
    def loss(self) -> float:
        """The mean of its losses, infinity where there is none."""
        return sum(self.losses.values()) / len(self.losses) if self.losses else math.inf

    @property
    def half(self) -> float:
        """Half of the 95 % interval of its mean over seeds, 0 of one seed."""
        return half_width([*self.losses.values()]) if len(self.losses) > 1 else 0.0

    @property
    def name(self) -> str:
        """Its values in a line."""
        return ", ".join(f"{key}={short(value)}" for key, value in self.values.items()) or "as it is"


@dataclass(frozen=True)
class Study:
    """What is compared.

    Args:
        settings: All of them.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
        about: What the manifest says of the sweep: its command, its sampler.
    """

    settings: Sequence[Setting]
    monitor: str
    mode: str
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Sequence[Trial], monitor: str, mode: str, about: Mapping[str, Any]) -> "Study":
        """Return the study of a sweep's trials; those that differ in a swept seed alone are one setting."""
        sign = 1 if mode == "min" else -1
        settings: dict[tuple[Any, ...], Setting] = {}
        for trial in trials:
            values = {key: value for key, value in trial.values.items() if key != SEED}
            losses = {run.seed: sign * run.score for run in trial.runs if run.score is not None}
            fresh = Setting(values, losses, trial.runs, trial.number, trial.status)
            name = (*((key, brief(value)) for key, value in values.items()),)
            known = settings.get(name)
            settings[name] = _joined(known, fresh) if known else fresh
        return cls([*settings.values()], monitor, mode, about)

    @property
    def sign(self) -> int:
        """What a loss is multiplied by to be a score."""
        return 1 if self.mode == "min" else -1

    @cached_property
    def compared(self) -> list[Setting]:
        """The settings that have a score and no run that failed, diverged or was pruned; the best first."""
        usable = [one for one in self.settings if one.losses and one.status not in BAD and math.isfinite(one.loss)]
        return sorted(usable, key=lambda one: one.loss)

    @cached_property
    def failed(self) -> list[Setting]:
        """The settings of which a run failed or diverged."""
        return [one for one in self.settings if one.status.is_bad]

    @cached_property
    def pruned(self) -> list[Setting]:
        """The settings that a pruner stopped."""
        return [one for one in self.settings if one.status == Status.PRUNED]

    @cached_property
    def keys(self) -> list[Key]:
        """The keys that vary, numbers first, as points have them."""
        names = dict.fromkeys(key for one in self.settings for key in one.values)
        found = [Key(name, _levels([one.values.get(name, MISSING) for one in self.settings])) for name in names]
        varying = [replace(key, is_log=key.is_positive and self._is_log(self._scored(key)))
                   for key in found if len(key.levels) > 1]  # fmt: skip
        return sorted(varying, key=lambda key: not key.is_number)

    def _is_log(self, key: Key) -> bool:
        """Tell whether a key counts by its logarithm.

        What was drawn does so where the sweep says it; what was listed, where its values lie more evenly so: 1e-3,
        1e-2, 1e-1.
        """
        if not key.is_number or key.levels[0] <= 0 or key.levels[-1] / key.levels[0] < DECADE:
            return False
        if "log" in self.about and (key.name in self.about["log"] or self.is_drawn(key)):
            return key.name in self.about["log"]
        plain, log = ([one.place(level) for level in key.levels] for one in (key, replace(key, is_log=True)))
        return abs(float(np.median(log)) - 0.5) <= abs(float(np.median(plain)) - 0.5)

    def is_drawn(self, key: Key) -> bool:
        """Tell whether the values of a key were drawn from an interval; of an older sweep, by their number."""
        if "drawn" in self.about:
            return key.name in self.about["drawn"]
        return len(key.levels) > LISTED and not str(self.about.get("sampler", "")).endswith(".Grid")

    def _scored(self, key: Key) -> Key:
        """Return a key with the values that have a score: a rate of 1e25, which always failed, sets no scale."""
        return replace(key, levels=_levels([one.values.get(key.name, MISSING) for one in self.compared]) or key.levels)

    @cached_property
    def numbers(self) -> list[Key]:
        """The keys that are numbers."""
        return [key for key in self.keys if key.is_number]

    @cached_property
    def axes(self) -> list[Key]:
        """The keys as points have them, numbers first: those of which several values have a score, and these alone."""
        scored = [axis for key in self.keys if len((axis := self._scored(key)).levels) > 1]
        found = [replace(axis, is_log=axis.is_positive and self._is_log(axis)) for axis in scored]
        return sorted(found, key=lambda axis: not axis.is_number)

    def points(self, settings: Sequence[Setting]) -> Points:
        """Return where settings are in the space."""
        numbers, names = ([key for key in self.axes if key.is_number is kind] for kind in (True, False))
        places = [[key.place(one.values[key.name]) for key in numbers] for one in settings]
        levels = [[key.index(one) for key in names] for one in settings]
        size = len(settings)
        return Points(
            np.array(places, float).reshape(size, len(numbers)), np.array(levels, int).reshape(size, len(names))
        )

    @cached_property
    def matrix(self) -> Floats:
        """The losses of the compared settings by seed, [settings, seeds]; NaN where there is none."""
        seeds = sorted({seed for one in self.compared for seed in one.losses})
        return np.array([[one.losses.get(seed, np.nan) for seed in seeds] for one in self.compared], float)

    @property
    def is_repeated(self) -> bool:
        """Whether the compared settings were trained with several seeds."""
        return self.matrix.size > 0 and bool(((~np.isnan(self.matrix)).sum(1) > 1).any())

    @property
    def sampler(self) -> str:
        """The name of what chose the points: grid, random, sobol, tpe, ..."""
        return str(self.about.get("sampler", "")).rpartition(".")[2].lower()


BAD = (Status.FAILED, Status.DIVERGED, Status.PRUNED)


def _joined(one: Setting, other: Setting) -> Setting:
    """Return a setting with the runs of another one that differs in the seed."""
    status = other.status if other.status in BAD and one.status not in BAD else one.status
    return replace(one, losses={**one.losses, **other.losses}, runs=[*one.runs, *other.runs], status=status)


def _levels(values: Sequence[Any]) -> tuple[Any, ...]:
    different = [*{brief(value): value for value in values}.values()]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in different)
    return tuple(sorted(different) if is_number else different)
