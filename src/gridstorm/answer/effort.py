"""Whether it was tried enough, what a short run tells of a long one, where runs failed, and where the time went."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridstorm.answer.study import Key, Setting, Study
from gridstorm.record import Status, curve
from gridstorm.statistics import Band, Correlation, expected_best, rank_correlation

DRAWN = ("random",)  # samplers whose trials are independent of each other
PARTS = (1 / 8, 1 / 4, 1 / 2)  # of the epochs, after which the order is compared with the last one
SURELY = 0.01  # probability that failures fall so by chance, over all splits, below which the split is named


@dataclass(frozen=True)
class Enough:
    """What more trials would bring.

    Args:
        more: The chance that as many again hold a new best one.
        within: The best one is, with 95 %, among this share of all that random draws can find.
        losses: Their losses.
    """

    more: float
    within: float
    losses: NDArray[np.float64]

    @property
    def band(self) -> Band:
        """The best of 1, 2, ... trials, as losses."""
        return expected_best(self.losses)


def enough(study: Study) -> Enough | None:
    """Return what more trials would bring; None where they were not drawn at random, or some were pruned.

    A new best in m more trials has the chance m / (N + m), and the best of N is with 95 % within the best
    1 - 0.05^(1/N): both hold for any distribution of scores, since all orders are as likely.
    """
    losses = np.array([one.loss for one in study.compared])
    if study.sampler not in DRAWN or study.pruned or len(losses) < 2:
        return None
    count = len(losses) + len(study.failed)
    return Enough(0.5, 1 - 0.05 ** (1 / count), losses)


def curves(setting: Setting) -> list[list[tuple[int, float]]]:
    """Return the best score so far after each epoch of each of a setting's runs."""
    found = []
    for run in setting.runs:
        rows = curve(run.record.rows(), run.config) if run.record else []
        found.append([(epoch, float(value)) for epoch, value in rows if value is not None and math.isfinite(value)])
    return [one for one in found if one]


def early(study: Study) -> list[tuple[int, int, Correlation]]:
    """Return after which epoch, of how many, the order of the settings is how much like that of the last epoch.

    Nothing where a pruner chose which settings went on: among those the correlation is another one.
    """
    if study.pruned:
        return []
    first = [found[0] for one in study.compared if (found := curves(one))]
    last = max((points[-1][0] for points in first), default=0)
    told: list[tuple[int, int, Correlation]] = []
    for epoch in dict.fromkeys(max(1, round(last * part)) for part in PARTS):
        pairs = [(_at(points, epoch), points[-1][1]) for points in first if points[0][0] <= epoch]
        if epoch < last and (one := rank_correlation(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))):
            told.append((epoch, last, one))
    return told


def _at(points: Sequence[tuple[int, float]], epoch: int) -> float:
    return [value for number, value in points if number <= epoch][-1]


@dataclass(frozen=True)
class Failing:
    """A part of the space in which runs failed.

    Args:
        values: Where it is, in words: `optimizer.lr of 1 or more`.
        failed: How many settings failed there.
        count: Of how many.
    """

    values: str
    failed: int
    count: int


def failing(study: Study) -> Failing | None:
    """Return where settings failed: the split of one key that tells them best; None where chance may have made it."""
    from scipy.stats import fisher_exact

    bad = {id(one) for one in study.failed}
    whole = [one for one in study.settings if one.status.is_finished]
    splits = [split for key in study.keys for split in _splits(key, whole)]
    best: tuple[float, Failing] | None = None
    for words, inside in splits:
        failed = sum(id(one) in bad for one in inside)
        table = [[failed, len(inside) - failed], [len(bad) - failed, len(whole) - len(inside) - len(bad) + failed]]
        chance = float(fisher_exact(table, "greater").pvalue)
        if best is None or chance < best[0]:
            best = chance, Failing(words, failed, len(inside))
    return best[1] if best and best[0] * len(splits) < SURELY else None


def _splits(key: Key, settings: Sequence[Setting]) -> list[tuple[str, list[Setting]]]:
    """Return the parts that a key can cut off: upper or lower ends of numbers, single categories."""
    if not key.is_number:
        return [
            (f"{key.name}={key.written(level)}", [one for one in settings if key.index(one) == place])
            for place, level in enumerate(key.levels)
        ]
    step = max(1, len(key.levels) // 20)
    found = []
    for level in key.levels[step::step]:
        inside = [one for one in settings if one.values[key.name] >= level]
        found.append((f"{key.name} of {key.written(level)} or more", inside))
        others = [one for one in settings if one.values[key.name] < level]
        found.append((f"{key.name} below {key.written(level)}", others))
    return found


@dataclass(frozen=True)
class Time:
    """Where the time of training went, in seconds.

    Args:
        whole: All of it.
        by_status: By what became of the runs.
        late: What runs trained after their best epoch.
    """

    whole: float
    by_status: dict[Status, float]
    late: float


def saved(study: Study) -> tuple[float, float]:
    """Return what a pruner has saved: the seconds that its runs would have gone on for, and their share of all."""
    runs = [run for one in study.settings for run in one.runs if run.result and run.result.epochs]
    left = [run.result.seconds * ((run.config.values["trainer"].get("max_epochs") or 0) / run.result.epochs - 1)
            for run in runs if run.result and run.result.status == Status.PRUNED]  # fmt: skip
    seconds = sum(max(0.0, one) for one in left)
    whole = time_spent(study).whole + seconds
    return seconds, seconds / whole if whole else 0.0


def time_spent(study: Study) -> Time:
    """Return where the time of training went."""
    results = [run.result for one in study.settings for run in one.runs if run.result]
    by_status: Counter[Status] = Counter()
    for result in results:
        by_status[result.status] += result.seconds  # type: ignore[assignment]  # a counter of seconds
    late = sum(one.seconds * (1 - one.best_epoch / one.epochs) for one in results if one.best_epoch and one.epochs)
    return Time(sum(by_status.values()), dict(by_status), late)
