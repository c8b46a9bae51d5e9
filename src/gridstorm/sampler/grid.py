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
        for outer in _product([axis for axis in axes if axis.condition is None]):
            inner = [axis for axis in axes if axis.condition is not None and axis.exists(outer, choices)]
            yield from ({**outer, **point} for point in _product(inner))


def _product(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    for rows in product(*(axis.points for axis in axes)):
        pairs = zip(axes, rows, strict=True)
        yield {key: value for axis, row in pairs for key, value in zip(axis.keys, row, strict=True)}
