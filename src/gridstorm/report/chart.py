"""Charts as SVG that Python writes: their colors are the page's CSS variables, so they need no script for the dark."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gridstorm.answer import Key

WIDTH, HEIGHT = 400, 250
WIDE, TALL = 820, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 28, 38
LETTERS = 9  # of a tick's label, which a longer one is cut to
FEW = 6  # values of a key, of which each has a label
PAD = 0.04  # share of an axis beside its first and its last value
CROWDED = 0.1  # share of an axis, below which the labels of two values would lie on each other


@dataclass(frozen=True)
class Scale:
    """Where values are drawn.

    Args:
        low: The value at the start.
        high: The value at the end; what lies outside is drawn at the nearer end.
        start: In units of the picture.
        end: Likewise.
        is_log: Whether it counts by the logarithm.
        levels: Values that lie evenly, whatever their distances; none for distances that count.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    levels: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        """Return where a value is drawn."""
        if self.levels:
            share = float(np.interp(value, self.levels, np.linspace(PAD, 1 - PAD, len(self.levels))))
            return self.start + share * (self.end - self.start)
        low, high = (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)
        inside = min(max(value, self.low), self.high)
        share = ((math.log(inside) if self.is_log else inside) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Return round values and their labels."""
        if self.is_log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            tens = [10.0**power for power in range(first, last + 1, max(1, math.ceil((last - first) / most)))]
            factors = (1, 2, 5) if last - first < 3 else (1,)
            values = [ten * factor for ten in tens for factor in factors]
            inside = [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]
            return [(value, tick(value)) for value in (inside if len(inside) > 1 else (self.low, self.high))]
        span = (self.high - self.low) or 1.0
        rough = span / most
        ten = 10.0 ** math.floor(math.log10(rough))
        step = next(ten * factor for factor in (1, 2, 2.5, 5, 10) if ten * factor >= rough * 0.999)
        start = math.ceil(self.low / step - 1e-9)
        return [(n * step, tick(n * step)) for n in range(start, math.floor(self.high / step + 1e-9) + 1)]


Ticked = tuple[Scale, Sequence[tuple[float, str]]]


def tick(value: float) -> str:
    """Return a number as an axis shows it."""
    text = f"{value:.3g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def escaped(text: Any) -> str:
    """Return a text that HTML and SVG show as it is."""
    return html.escape(str(text))


def key_scale(key: Key, start: float, end: float) -> tuple[Scale, list[tuple[float, str]]]:
    """Return the scale of a key's values and its ticks; categories are at 0, 1, 2 and so on.

    A few numbers whose labels would lie on each other lie evenly.
    """
    if key.is_number:
        low, high = float(key.levels[0]), float(key.levels[-1])
        pad = 0.0 if key.is_log else (high - low) * PAD
        scale = Scale(low / 1.08 if key.is_log else low - pad, high * 1.08 if key.is_log else high + pad,
                      start, end, key.is_log)  # fmt: skip
        if len(key.levels) > FEW:
            return scale, scale.ticks()
        places = [key.place(level) for level in key.levels]
        if any(after - before < CROWDED for before, after in pairwise(places)):
            scale = replace(scale, levels=tuple(map(float, key.levels)))
        return scale, [(float(level), tick(level)) for level in key.levels]
    names = [key.written(level) for level in key.levels]
    labels = [name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in names]
    return Scale(-0.5, len(names) - 0.5, start, end), [(float(n), label) for n, label in enumerate(labels)]


def figure(body: str, label: str, width: float = WIDTH, height: float = HEIGHT, kind: str = "") -> str:
    """Return a picture with what a screen reader says of it."""
    drawing = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escaped(label)}">{body}</svg>'
    return f'<figure class="{kind}">{drawing}</figure>'


def title(text: str) -> str:
    """Return the title above a picture."""
    return f'<text class="t" x="10" y="15">{escaped(text)}</text>'


def frame(
    x: tuple[Scale, Sequence[tuple[float, str]]],
    y: tuple[Scale, Sequence[tuple[float, str]]],
    under: str,
    bottom: float,
) -> str:
    """Return axes with their ticks and lines, and what is below."""
    parts = []
    for value, label in y[1]:
        place = y[0].at(value)
        parts.append(f'<path class="g" d="M{x[0].start:g} {place:.1f}H{x[0].end:g}"/>')
        parts.append(f'<text class="k e" x="{x[0].start - 5:g}" y="{place + 4:.1f}">{escaped(label)}</text>')
    for value, label in x[1]:
        parts.append(f'<text class="k m" x="{x[0].at(value):.1f}" y="{bottom + 15:g}">{escaped(label)}</text>')
    parts.append(f'<path class="a" d="M{x[0].start:g} {bottom:g}H{x[0].end:g}"/>')
    middle = (x[0].start + x[0].end) / 2
    return "".join([*parts, f'<text class="k m" x="{middle:g}" y="{bottom + 31:g}">{escaped(under)}</text>'])


def path(points: Sequence[tuple[float, float]], kind: str, number: int | None = None) -> str:
    """Return a line through points, which belongs to a setting where a number is given."""
    mark = "" if number is None else f' data-t="{number}"'
    return f'<path class="{kind}"{mark} d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'


def dot(x: float, y: float, number: int, kind: str = "p") -> str:
    """Return the mark of a setting."""
    return f'<circle class="{kind}" data-t="{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.8"/>'


def cross(x: float, y: float, number: int) -> str:
    """Return the mark of a setting that failed or was pruned."""
    return f'<path class="f" data-t="{number}" d="M{x - 2.5:.1f} {y - 2.5:.1f}l5 5m0-5l-5 5"/>'


def bars(rows: Sequence[tuple[str, float, float, float]], heading: str, label: str) -> str:
    """Return bars from 0 to 1 with whiskers: name, length, and the ends of its interval."""
    height = TOP + 26 * len(rows) + 8
    scale = Scale(0, 1, 150, WIDTH - RIGHT)
    parts = [title(heading)]
    for row, (name, length, low, high) in enumerate(rows):
        y = TOP + 26 * row + 6
        text = name if len(name) <= 20 else f"…{name[-19:]}"
        parts.append(f'<text class="k e" x="144" y="{y + 12}">{escaped(text)}</text>')
        parts.append(f'<rect class="bar" x="150" y="{y}" width="{scale.at(length) - 150:.1f}" height="16"/>')
        parts.append(f'<path class="w" d="M{scale.at(low):.1f} {y + 8}H{scale.at(high):.1f}"/>')
    return figure("".join(parts), label, WIDTH, height)
