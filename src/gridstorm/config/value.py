"""Values as text, such as numbers, durations and the points of a sweep; and durations read from text."""

import math
from collections.abc import Mapping
from typing import Any

from gridstorm.config.group import GROUPS
from gridstorm.error import Problem, UserError
from gridstorm.target import shown

Point = dict[str, Any]
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def brief(value: Any) -> str:
    """Return a value as it is written, a number in the shortest way: 1e12 rather than 1000000000000.0."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}".replace("e+", "e").replace("e-0", "e-")
    return shown(value)


def label(point: Mapping[str, Any]) -> str:
    """Return a point in a directory's name: `cnn,lr=0.01`."""
    parts = [
        brief(value) if key in GROUPS else f"{key.rpartition('.')[2]}={brief(value)}" for key, value in point.items()
    ]
    return ",".join(parts).replace("/", "_").replace(" ", "") or "only"


def seconds(key: str, text: str | float | None) -> float | None:
    """Return a duration such as `90`, `90s`, `30m`, `2h` or `1d` in seconds; None for none.

    Raises:
        UserError: It is no duration.
    """
    if text is None or isinstance(text, int | float):
        return text
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        value = float(number) * UNITS[unit]
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError([Problem(f"{key}={text}", "It is no duration.", f"Write seconds, or {key}=30m, {key}=2h.")])
    return value


def duration(value: float) -> str:
    """Return seconds as one number with a unit: `45s`, `12m`, `3.5h`; `unknown` for NaN."""
    if math.isnan(value):
        return "unknown"
    if value < 100:
        return f"{value:.3g}s"
    unit = "m" if value < 6000 else "h" if value < 172800 else "d"
    return f"{value / UNITS[unit]:.3g}{unit}"


def number(value: float | None) -> str:
    """Return a number with four digits, a dash for none."""
    return "-" if value is None else f"{value:.4g}"
