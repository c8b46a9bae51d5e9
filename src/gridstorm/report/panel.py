"""The pictures of a report: what each key does, how the curves went, and every setting at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gridstorm.answer import Answer, Key, Setting, curves, profile
from gridstorm.report.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TALL,
    TOP,
    WIDE,
    WIDTH,
    Scale,
    Ticked,
    bars,
    cross,
    dot,
    escaped,
    figure,
    frame,
    key_scale,
    path,
    title,
)
from gridstorm.statistics import fenced

Floats = NDArray[np.float64]
CLIPPED = 0.97  # quantile of the scores, above which a mark lies at the edge of the picture
DECADE = 10  # ratio of the largest and the smallest score, from which they are drawn by their logarithms
DRAWN = 2000  # settings that have marks; of more the best half, and some of the others
CELLS = 11  # of a map, along each key
UNSURE = 0.5  # deviation of the surface in those of the scores, above which a cell of the map counts as not known
AXES = 8  # of the parallel coordinates


@dataclass(frozen=True)
class Marks:
    """Where settings are drawn, in units of a picture.

    Args:
        heading: What is shown.
        places: Of each setting.
        good: Whether it is compared; what failed or was pruned lies at the top.
        best: The line of the best at each value.
        spans: The 95 % interval of each of these over its seeds: where, and its ends.
        x: The scale of the key.
        y: That of the score.
    """

    heading: str
    places: Sequence[tuple[float, float]]
    good: Sequence[bool]
    best: Sequence[tuple[float, float]]
    spans: Sequence[tuple[float, float, float]]
    x: Ticked
    y: Ticked


@dataclass(frozen=True)
class Panels:
    """The pictures of one answer.

    Args:
        answer: What a sweep has shown.
    """

    answer: Answer

    @cached_property
    def settings(self) -> list[Setting]:
        """The settings that have marks, by their numbers: those that are compared, the best first, then the others."""
        study = self.answer.study
        others = [one for one in study.settings if id(one) not in self._compared]
        step = max(1, len(study.compared) // (DRAWN // 2))
        first = study.compared[: DRAWN // 2]
        return [*first, *study.compared[DRAWN // 2 :: step][: DRAWN // 2], *others[:DRAWN]]

    @cached_property
    def keys(self) -> list[Key]:
        """The keys that vary, what decides most first; last those of which one value alone has a score."""
        order = [*self.answer.importance.shares] if self.answer.importance else []
        names = [key.name for key in self.answer.study.keys]
        return sorted(self.answer.study.keys, key=lambda key: [*order, *names].index(key.name))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest score that is drawn: those far out lie at the edge."""
        sign = self.answer.study.sign
        losses = np.array([one.loss for one in self.answer.study.compared])
        worst = min(float(np.quantile(losses, CLIPPED)), float(fenced(losses).max()))
        low, high = sorted((sign * float(losses.min()), sign * max(worst, float(losses.min()))))
        if low > 0 and high / low > DECADE:
            return low / 1.1, high * 1.1
        pad = (high - low) * 0.05 or abs(low) * 0.05 or 0.5
        return low - pad, high + pad

    @property
    def hidden(self) -> int:
        """How many settings lie at the edge of the pictures, since they are much worse."""
        low, high = self.ends
        scores = [self.answer.study.sign * one.loss for one in self.answer.study.compared]
        return sum(not low <= score <= high for score in scores)

    def _y(self, bottom: float, top: float = TOP) -> Ticked:
        low, high = self.ends
        scale = Scale(low, high, bottom, top, is_log=low > 0 and high / low > DECADE)
        return scale, scale.ticks()

    def marks(self, key: Key) -> "Marks":
        """Return where each setting is drawn by a key and by its score, and the best at each value over all others."""
        sign = self.answer.study.sign
        x, y = key_scale(key, LEFT, WIDTH - RIGHT), self._y(HEIGHT - BOTTOM)
        rng = np.random.default_rng(1)
        spread = 0 if len(key.levels) > 12 else 14
        places, good = [], [id(one) in self._compared for one in self.settings]
        for one, compared in zip(self.settings, good, strict=True):
            height = y[0].at(sign * one.loss) if compared else TOP + 4
            places.append((x[0].at(_value(key, one)) + (rng.random() - 0.5) * spread, height))
        leading = profile(self.answer.study, key)
        best = [(x[0].at(_value(key, one)), y[0].at(sign * one.loss)) for one in leading]
        spans = [(left, y[0].at(sign * one.loss - one.half), y[0].at(sign * one.loss + one.half))
                 for (left, _), one in zip(best, leading, strict=True) if one.half]  # fmt: skip
        return Marks(f"{self.answer.study.monitor} by {key.name}", places, good, best, spans, x, y)

    def isolation(self, key: Key) -> str:
        """Return the scores by a key, with the best that was reached at each value over all others."""
        marks = self.marks(key)
        drawn = []
        for number, (left, top) in reversed([*enumerate(marks.places)]):  # the best one is drawn last, on top
            kind = "p b" if number == 0 else "p"
            drawn.append(dot(left, top, number, kind) if marks.good[number] else cross(left, top, number))
        body = title(marks.heading) + frame(marks.x, marks.y, key.name, HEIGHT - BOTTOM) + path(marks.best, "l")
        body += "".join(path([(left, low), (left, high)], "w") for left, low, high in marks.spans)
        return figure(body + "".join(drawn), f"{marks.heading}: the best at each value, and every setting")

    @cached_property
    def _compared(self) -> set[int]:
        """What is compared, by identity: settings hold dictionaries, which have no hash."""
        return {id(one) for one in self.answer.study.compared}

    def importance(self) -> str:
        """Return bars of how much each key decides."""
        found = self.answer.importance
        if not found:
            return ""
        rows = [(name, *shares) for name, shares in found.shares.items()]
        return bars(rows, "Share of the differences that each key makes alone", "importance of each key")

    def map(self) -> str:
        """Return the surface over the two keys that decide most, at the best values of the others.

        Where it is not known well the cells are empty.
        """
        surface, found, study = self.answer.contest.surface, self.answer.importance, self.answer.study
        numbers = [key.name for key in study.axes if key.is_number]
        names = [name for name in found.shares if name in numbers] if found else []
        if surface is None or len(names) < 2 or self.answer.best is None:
            return ""
        one, other = (numbers.index(name) for name in names[:2])
        places = np.linspace(0, 1, CELLS)
        center = study.points([self.answer.best])
        rows = np.zeros(CELLS * CELLS, int)
        points = center[rows]
        points.numbers[:, one], points.numbers[:, other] = np.tile(places, CELLS), np.repeat(places, CELLS)
        draws = surface.draws(points, 4, self.answer.contest.rng)
        means, unsure = draws.mean(0), draws.std(0) > UNSURE * surface.unit
        return self._cells(study.axes[one], study.axes[other], means, unsure)

    def _cells(self, one: Key, other: Key, means: Floats, unsure: NDArray[np.bool_]) -> str:
        (x, across), (y, up) = key_scale(one, LEFT, WIDTH - RIGHT), key_scale(other, HEIGHT - BOTTOM, TOP)
        borders = np.clip((np.arange(CELLS + 1) - 0.5) / (CELLS - 1), 0, 1).tolist()
        lefts, bottoms = [x.at(one.at(place)) for place in borders], [y.at(other.at(place)) for place in borders]
        low, high = float(means.min()), float(np.quantile(means, 0.9))
        cells = []
        for number, (mean, blank) in enumerate(zip(means, unsure, strict=True)):
            row, column = divmod(number, CELLS)
            width, height = lefts[column + 1] - lefts[column] + 0.3, bottoms[row] - bottoms[row + 1] + 0.3
            shade = 0.08 + 0.8 * (1 - min(1.0, (float(mean) - low) / (high - low or 1)))
            place = f'x="{lefts[column]:.1f}" y="{bottoms[row + 1]:.1f}" width="{width:.1f}" height="{height:.1f}"'
            cells.append("" if blank else f'<rect class="cell" {place} fill-opacity="{shade:.2f}"/>')
        marks = [dot(x.at(_value(one, each)), y.at(_value(other, each)), number, "p b" if number == 0 else "p o")
                 for number, each in reversed([*enumerate(self.settings)]) if id(each) in self._compared]  # fmt: skip
        heading = title(f"{other.name} against {one.name}: darker is better")
        body = heading + "".join(cells) + frame((x, across), (y, up), one.name, HEIGHT - BOTTOM) + "".join(marks)
        return figure(body, f"expected score by {one.name} and {other.name}; empty where it is not known")

    def best_so_far(self) -> str:
        """Return the best score after each trial; of random draws, what the best of as many is expected to be."""
        study, sign = self.answer.study, self.answer.study.sign
        ordered = sorted(study.compared, key=lambda one: one.number)
        if len(ordered) < 2 or study.sampler == "grid":  # whose order means nothing
            return ""
        running = np.minimum.accumulate([one.loss for one in ordered])
        x = Scale(1, len(ordered), LEFT, WIDTH - RIGHT)
        y = self._y(HEIGHT - BOTTOM)
        line = [(x.at(n + 1), y[0].at(sign * float(loss))) for n, loss in enumerate(running)]
        body, heading = "", "Best so far"
        if found := self.answer.enough:
            heading = "Best so far, and what the best of n draws is expected to be"
            band = found.band
            top = [(x.at(n + 1), y[0].at(sign * float(value))) for n, value in enumerate(band.quartiles[1])]
            low = [(x.at(n + 1), y[0].at(sign * float(value))) for n, value in enumerate(band.quartiles[0])]
            body = path([*top, *reversed(low)], "band")
            body += path([(x.at(n + 1), y[0].at(sign * float(v))) for n, v in enumerate(band.mean)], "l")
        body = title(heading) + frame((x, x.ticks()), y, "settings", HEIGHT - BOTTOM) + body + path(line, "s")
        return figure(body, "the best score after each setting")

    def curves(self) -> str:
        """Return the curves of the best three settings and of all that failed."""
        study, sign = self.answer.study, self.answer.study.sign
        shown = [one for number, one in enumerate(self.settings) if number < 3 or one.status.is_bad]
        lines = [(self.settings.index(one), points) for one in shown for points in curves(one)]
        if not lines:
            return ""
        last = max(points[-1][0] for _, points in lines)
        values = [sign * value for _, points in lines for _, value in points]
        low, high = float(min(values)), float(np.quantile(values, 0.98))
        is_log = low > 0 and high / low > 10
        bottom = TALL - BOTTOM
        x, y = (
            Scale(1, max(last, 2), LEFT, WIDE - RIGHT),
            Scale(low, high if high > low else low + 1, bottom, TOP, is_log),
        )
        drawn = [path([(x.at(epoch), y.at(sign * value)) for epoch, value in points] * (2 if len(points) == 1 else 1),
                      "c b" if number == 0 else "c", number) for number, points in reversed(lines)]  # fmt: skip
        heading = title(f"Best {study.monitor} so far by epoch: the best three, and all that failed")
        body = heading + frame((x, x.ticks(8)), (y, y.ticks()), "epoch", bottom) + "".join(drawn)
        return figure(body, "training curves", WIDE, TALL, "wide")

    def parallel(self) -> str:
        """Return every setting with a score as a line over its values, which are axes; dragging along one chooses."""
        study, keys = self.answer.study, self.keys[:AXES]
        top, bottom = TOP + 22, TALL - 14
        scales: list[Ticked] = [key_scale(key, bottom, top) for key in keys]
        scales.append(self._y(bottom, top))
        places = np.linspace(60, WIDE - 70, len(scales)).tolist()
        lines = []
        for number, one in reversed([*enumerate(self.settings)]):
            if id(one) in self._compared:
                values = [_value(key, one) for key in keys] + [study.sign * one.loss]
                points = [
                    (float(a), scale.at(value)) for a, (scale, _), value in zip(places, scales, values, strict=True)
                ]
                lines.append(path(points, "q b" if number == 0 else "q", number))
        names = [*(key.name for key in keys), study.monitor]
        axes = [_axis(number, place, name, ticked, (top, bottom))
                for number, (place, name, ticked) in enumerate(zip(places, names, scales, strict=True))]  # fmt: skip
        body = title("Every setting that has a score: drag along an axis to choose") + "".join(lines) + "".join(axes)
        return figure(body, "parallel coordinates of the settings that have a score", WIDE, TALL, "wide")


def _value(key: Key, one: Setting) -> float:
    """Return a setting's value of a key as a number: of categories their place."""
    return float(one.values[key.name]) if key.is_number else float(key.index(one))


def _axis(number: int, x: float, name: str, ticked: Ticked, ends: tuple[float, float]) -> str:
    """Return an axis of the parallel coordinates, which can be dragged along."""
    top, bottom = ends
    labels = [f'<text class="k h" x="{x + 5:.0f}" y="{ticked[0].at(value) + 4:.0f}">{escaped(label)}</text>'
              for value, label in ticked[1]]  # fmt: skip
    handle = f'<rect x="{x - 14:.0f}" y="{top - 4:g}" width="28" height="{bottom - top + 8:g}"/>'
    line = f'<path class="a" d="M{x:.0f} {top:g}V{bottom:g}"/>'
    heading = f'<text class="k m" x="{x:.0f}" y="{top - 9:g}">{escaped(name.rpartition(".")[2])}</text>'
    return f'<g class="ax" data-j="{number}">{handle}{line}{heading}{"".join(labels)}</g>'
