"""In what two runs differ: their curves, and the possible causes."""

from collections.abc import Iterator
from typing import Any

from gridstorm.config import OBJECT, RunConfig, leaves
from gridstorm.record import COUNTERS
from gridstorm.target import shown


def curves_differ(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> Iterator[str]:
    """Yield in what the points of two curves differ: their number, and the first point that does."""
    if len(first) != len(second):
        yield f"points of the curves: {len(first)}, now {len(second)}"
    for row, two in zip(first, second, strict=False):
        names = [name for name in sorted({*row, *two} - {*COUNTERS}) if row.get(name) != two.get(name)]
        if names:
            name = names[0]
            yield f"{name} at step {row['step']}: {row.get(name)}, now {two.get(name)} (and all that follows)"
            return


def defaults_differ(first: RunConfig, second: RunConfig) -> list[str]:
    """Return what is another value in the second of two configurations, and was set on neither command line."""
    before, now = (dict(leaves(config.recipe)) for config in (first, second))
    other = [key for key in now if key in before and before[key] != now[key]]
    other = [] if OBJECT in str((before, now)) else other  # what stands in the place of an object is no default
    told = {key for config in (first, second) for key in other if config.origins.get(key) == "command line"}
    return [f"{key} was {shown(before[key])}, and is {shown(now[key])}" for key in other if key not in told]


def recipes_differ(first: RunConfig, second: RunConfig) -> list[str]:
    """Return what is another value in the second of two recipes, `optimizer.lr 0.1 -> 0.01`."""
    before, now = (dict(leaves({**config.recipe, "parent": None})) for config in (first, second))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key} {shown(before[key]) if key in before else 'none'} -> {shown(now[key]) if key in now else 'none'}"
            for key in keys]  # fmt: skip


def environments_differ(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Yield what may be the cause of other numbers: code, data, device, machine, versions."""
    for key in ("commit", "data", "device", "host", "python", "cores"):
        if first.get(key) != second.get(key):
            yield f"{key}: {first.get(key)}, now {second.get(key)}"
    for package in sorted({*first.get("versions", {}), *second.get("versions", {})}):
        version, two = (side.get("versions", {}).get(package) for side in (first, second))
        if version != two:
            yield f"{package}: {version}, now {two}"
