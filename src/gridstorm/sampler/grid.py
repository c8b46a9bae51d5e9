"""Every combination of listed values."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Protocol


class Axis(Protocol):
    """What a grid needs to know of an axis: its keys, the listed values of each of its points, and where it exists."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary together."""

    @property
    def points(self) -> tuple[tuple[Any, ...], ...]:
        """For each point a value for each key."""

    @property
    def condition(self) -> tuple[str, str] | None:
        """The choice with which the axis exists, None if it always does."""

    def exists(self, point: Mapping[str, Any], choices: Mapping[str, str]) -> bool:
        """Tell whether the axis is part of a point."""


class Grid:
    """Yields every point, the last axis varying fastest; an axis with a condition varies within all others."""

    def __call__(self, axes: Sequence[Axis], choices: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the points of `axes`; `choices` are those of the groups that are no axis."""
        for outer in _product([one for one in axes if one.condition is None]):
            inner = [one for one in axes if one.condition is not None and one.exists(outer, choices)]
            yield from ({**outer, **point} for point in _product(inner))


def _product(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    for rows in product(*(one.points for one in axes)):
        pairs = zip(axes, rows, strict=True)
        yield {key: value for one, row in pairs for key, value in zip(one.keys, row, strict=True)}
