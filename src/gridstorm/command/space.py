"""What a sweep spans, in Hydra's own override syntax: the axes of its space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException

from gridstorm.command.hydra import as_text, raw_value, values_of
from gridstorm.command.override import endless, whole
from gridstorm.command.parse import read_all
from gridstorm.error import Problem, UserError


@dataclass(frozen=True)
class Axis:
    """Keys whose values vary together, mostly one, and what they can take: listed points, or an interval.

    Args:
        keys: Dotted keys, or names of groups.
        points: What is listed: for each point a value for each key; empty for an interval.
        low: The lower end of an interval, which has one key.
        high: Its upper end, which belongs to it.
        log: Whether the interval's decades are equally likely.
        whole: Whether it holds whole numbers only.
        condition: (group, choice): the axis exists only where that choice is made.
    """

    keys: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    condition: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The axis in words, unique in its space: `optimizer.lr`, or `optimizer.momentum if optimizer=sgd`."""
        keys = ",".join(self.keys)
        return f"{keys} if {self.condition[0]}={self.condition[1]}" if self.condition else keys

    def exists(self, point: Mapping[str, Any], choices: Mapping[str, str]) -> bool:
        """Tell whether the axis is part of a point: its condition holds, by the point or by what is chosen anyway."""
        return self.condition is None or {**choices, **point}.get(self.condition[0]) == self.condition[1]

    def holds(self, row: tuple[Any, ...]) -> bool:
        """Tell whether the axis can take these values of its keys."""
        if self.points:
            return row in self.points
        return isinstance(row[0], int | float) and self.low <= row[0] <= self.high

    def values(self) -> list[tuple[Any, ...]] | None:
        """Return what the axis can take, None where that has no end."""
        if self.whole:
            return [(value,) for value in range(int(self.low), int(self.high) + 1)]
        return [*self.points] or None

    def ends(self) -> list[tuple[Any, ...]]:
        """Return the values of every listed point, or the two ends of the interval."""
        return [*self.points] if self.points else [(self.low,), (self.high,)]


def axes(
    loader: ConfigLoader,
    texts: Sequence[str],
    params: Mapping[str, Any],
    zipped: Sequence[Sequence[str]],
    values: Mapping[str, Any],
) -> list[Axis]:
    """Return the axes that overrides span, those of the command line first; zipped ones are joined.

    Args:
        loader: Hydra's, which knows the choices for `glob()`.
        texts: Overrides as on a command line; those with one value span nothing.
        params: `sweep.params`, by key: a text in the same syntax, or a list. What the command line sets is left out.
        zipped: `sweep.zip`: groups of keys whose values vary together.
        values: What the keys hold where they are not swept.

    Raises:
        UserError: A text cannot be read, spans nothing, or zipped keys have unequal numbers of values.
    """
    parsed = read_all(texts, loader)
    taken = {override.key_or_group for override in parsed}
    spanned = [axis(override, values) for override in parsed if override.is_sweep_override()]
    spanned += [axis(_parsed(loader, key, value), values) for key, value in params.items() if key not in taken]
    return [*map(_distinct, _joined(spanned, zipped))]


def conditional(
    loader: ConfigLoader, group: str, choice: str, ranges: Mapping[str, Any], values: Mapping[str, Any]
) -> list[Axis]:
    """Return the axes that a choice's own file names under `_sweep_`, which exist only where it is chosen."""
    parsed = [_parsed(loader, f"{group}.{key}", value) for key, value in ranges.items()]
    return [replace(_distinct(axis(override, values)), condition=(group, choice)) for override in parsed]


def _parsed(loader: ConfigLoader, key: str, value: Any) -> Override:
    """Read one entry of `sweep.params` or `_sweep_`."""
    listed = ",".join(map(as_text, value)) if isinstance(value, list) else ""
    text = f"{key}=choice({listed})" if listed else f"{key}={value}"
    try:
        override = OverridesParser.create(config_loader=loader).parse_override(text)
    except HydraException:
        override = None
    if override is None or value in ("", [], None):
        wrong: tuple[str, str] | None = ("It lists no values.", f"Write them as on the command line: {key}: 0.1,0.2.")
    else:
        wrong = endless(key, raw_value(override))
    if wrong or override is None:
        raise UserError([Problem(f"sweep.params.{text}", *wrong or ())])
    return override


def axis(override: Override, values: Mapping[str, Any]) -> Axis:
    """Return what one override spans; `values` are those of keys that are not swept."""
    key = override.key_or_group
    value = raw_value(whole(override, values.get(key)))
    if isinstance(value, IntervalSweep):
        low, high = value.start or 0, value.end or 0
        log = "log" in value.tags
        if low >= high or (log and low <= 0):
            rule = "Its ends must rise" + (", and a logarithm has none at or below 0." if low < high else ".")
            raise UserError([Problem(str(override.input_line), rule, f"Try {key}=tag(log, interval(0.0001, 0.1)).")])
        return Axis((key,), low=low, high=high, log=log, whole={type(low), type(high)} == {int})
    return Axis((key,), tuple((value,) for value in values_of(override)))


def _distinct(axis: Axis) -> Axis:
    """Leave out points that are listed twice; 1 and 1.0 are two."""
    return replace(axis, points=tuple({repr(row): row for row in axis.points}.values()))


def _joined(spanned: list[Axis], zipped: Sequence[Sequence[str]]) -> list[Axis]:
    """Join the axes of each group of zipped keys at the place of the first of them."""
    for keys in zipped:
        parts = [axis for key in keys for axis in spanned if axis.keys == (key,)]
        lengths = [len(axis.points) for axis in parts]
        text = f"sweep.zip=[{','.join(keys)}]"
        if len(parts) != len(keys) or len(keys) < 2:
            missing = [key for key in keys if not any(axis.keys == (key,) for axis in spanned)]
            fact = f"{' and '.join(missing) or 'One key alone'} takes no several values to be zipped."
            raise UserError([Problem(text, fact, "Name keys that list several values each.")])
        if len(set(lengths)) > 1 or not all(lengths):
            counts = ", ".join(
                f"{axis.name} {length or 'an interval'}" for axis, length in zip(parts, lengths, strict=True)
            )
            raise UserError(
                [Problem(text, f"Zipped keys have unequal numbers of values: {counts}.", "List as many of each.")]
            )
        points = tuple(
            tuple(values[0] for values in rows) for rows in zip(*(axis.points for axis in parts), strict=True)
        )
        first = min(map(spanned.index, parts))
        spanned = [axis for axis in spanned if axis not in parts]
        spanned.insert(first, Axis(tuple(keys), points))
    return spanned
