"""What each key does: which one matters most, and whether the best value is at an edge of what was tried."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridstorm.answer.contest import Contest
from gridstorm.answer.study import Key, Setting, Study
from gridstorm.statistics import Points, credible, falls_at_end

LEVEL = 0.99  # with which the keys that may be first are named
LEARNING = ("tpe", "gp", "cmaes")  # samplers that see little of the space beside its good part
CLOSE, CLOSE_LEARNED = 0.8, 0.1  # of the first key's share, from which another one may be first; after such a sampler
STEPS = 12  # of a number of which more values were drawn
LINE = 21  # places along a key at which the surface is looked at
FALLING = 0.8  # probability of the surface that the best is at the end, from which that is said
NEAR = 0.1  # share of a key's range from its end that counts as the end, where values are drawn


@dataclass(frozen=True)
class Importance:
    """How much each key decides over the whole range that was tried.

    Args:
        shares: The share of the variance that each key explains alone, the largest first: mean, low and high end.
        first: The keys that may be the first one, the likeliest first.
    """

    shares: dict[str, tuple[float, float, float]]
    first: tuple[str, ...]


def importance(contest: Contest) -> Importance | None:
    """Return how much each key decides; None where there are too few settings, or one key alone."""
    keys = [key.name for key in contest.study.axes]
    if contest.whole is None or len(keys) < 2:
        return None
    drawn = contest.whole.importances(contest.rng)
    low, high = np.quantile(drawn, [0.025, 0.975], 0).clip(0, 1)
    means = drawn.mean(0).clip(0, 1)
    order = np.argsort(-means)
    shares = {keys[place]: (float(means[place]), float(low[place]), float(high[place])) for place in order}
    chances = np.bincount(drawn.argmax(1), minlength=len(keys)) / len(drawn)
    first = [int(place) for place in credible(chances, LEVEL)]
    least = (CLOSE_LEARNED if contest.study.sampler in LEARNING else CLOSE) * means[order[0]]
    first += [int(place) for place in order if place not in first and means[place] > least]
    return Importance(shares, tuple(keys[place] for place in first))


@dataclass(frozen=True)
class Edge:
    """The best value of a key is the smallest or the largest one that was tried.

    Args:
        key: The key.
        value: The best value.
        is_top: Whether it is the largest one.
        is_falling: Whether the scores were still getting better there.
        cliff: The next value, of which all settings failed; None where none did.
        others: What to try next, the best value first; empty where the edge is a bound.
    """

    key: Key
    value: Any
    is_top: bool
    is_falling: bool
    cliff: Any
    others: tuple[float, ...]

    @property
    def fact(self) -> str:
        """What is so, in a sentence."""
        end = "largest" if self.is_top else "smallest"
        words = f"{self.key.name} is best at {self.key.written(self.value)}"
        if self.cliff is not None:
            return f"{words}, and all settings with the next value, {self.key.written(self.cliff)}, failed."
        if self.is_falling:
            return f"{words}, the {end} value tried, and it was still getting better there."
        return f"{words}, the {end} value tried."


def edges(contest: Contest) -> list[Edge]:
    """Return the keys whose best value is at an end of what was tried."""
    if not contest.settings:
        return []
    found = []
    for key in contest.study.numbers:
        value = contest.settings[0].values[key.name]
        where = key.place(value)
        drawn = contest.study.is_drawn(key) and len(key.levels) > max(5, len(contest.settings) / 2)
        near = NEAR if drawn else 0.0
        # Of drawn values the next one was tried once, and says nothing of its neighborhood.
        cliff = None if drawn else _cliff(contest.study, key, value)
        if where <= near or where >= 1 - near or cliff is not None:
            is_top = where >= 0.5
            if not is_top and key.levels[0] == 0:
                continue  # below none there is nothing, as with dropout
            falling = cliff is None and _is_falling(contest, key, is_top)
            others = () if cliff is not None else beyond(key, value, is_top)
            found.append(Edge(key, value, is_top, falling, cliff, others))
    return found


def beyond(key: Key, value: Any, is_top: bool) -> tuple[float, ...]:
    """Return three values: the best one, and two beyond it by the step between the last ones that were tried."""
    ends = key.levels[-2:] if is_top else key.levels[1::-1]
    step = abs(key.place(ends[1]) - key.place(ends[0]))
    step = max(step, 0.25) if len(key.levels) > 5 else step
    places = [key.place(value) + (step if is_top else -step) * count for count in range(3)]
    found = [_rounded(key.at(place), key.is_whole) for place in places]
    found = [value, *found[1:]]
    positive = [other for other in found if other > 0 or key.levels[0] < 0]
    return tuple(dict.fromkeys(positive))


def _rounded(value: float, is_whole: bool) -> float:
    return round(value) if is_whole else float(f"{value:.2g}")


def _cliff(study: Study, key: Key, value: Any) -> Any:
    """Return the value next to the best one, smaller or larger, with which every setting failed; None without one."""
    place = key.levels.index(value)
    for other in key.levels[max(0, place - 1) : place + 2]:
        some = [one for one in study.settings if one.values[key.name] == other]
        if other != value and some and all(one.status.is_bad for one in some):
            return other
    return None


def _is_falling(contest: Contest, key: Key, is_top: bool) -> bool:
    """Tell whether the scores still get better at the end: both the surface and a quadratic must say so.

    Each of the two alone is right in two of three cases, in what `bench.answer` makes up; together they hardly err.
    """
    names = [axis.name for axis in contest.study.axes]
    if contest.surface is None or contest.whole is None or key.name not in names:
        return False
    place = names.index(key.name)
    losses = np.array([one.loss for one in contest.settings])
    if not falls_at_end(contest.study.points(contest.settings), losses, place, is_top):
        return False
    center = contest.surface.points[np.array([int(contest.draws.mean(0).argmin())])]
    line = Points(np.repeat(center.numbers, LINE, 0), np.repeat(center.names, LINE, 0))
    line.numbers[:, place] = np.linspace(0, 1, LINE)
    lowest = contest.whole.draws(line, 20, contest.rng).argmin(1)
    share = float((lowest == (LINE - 1 if is_top else 0)).mean())
    return share > FALLING


def profile(study: Study, key: Key) -> list[Setting]:
    """Return the best setting at each value of a key over all others, by value; of drawn numbers in twelve steps."""
    best: dict[int, Setting] = {}
    many = key.is_number and study.is_drawn(key) and len(key.levels) > STEPS
    for one in study.compared:  # the best one is the first of its cell
        cell = math.floor(key.place(one.values[key.name]) * (STEPS - 0.001)) if many else key.index(one)
        best.setdefault(cell, one)
    return [best[cell] for cell in sorted(best)]
