"""The command `gridstorm`: what is asked of runs that are there. Nothing heavy is imported before it is needed."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridstorm.config import plainly
from gridstorm.limits import component
from gridstorm.record import COUNTERS, Record
from gridstorm.refusal import quiet


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line and return its exit status."""
    parser = argparse.ArgumentParser("gridstorm", description="Questions about runs that are there.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    again = commands.add_parser("rerun", help="train a run's recipe again and say whether the numbers are the same")
    again.add_argument("directory", type=Path, help="the directory of a run")
    again.set_defaults(function=lambda given: rerun(given.directory))
    given = parser.parse_args(arguments)
    with plainly():
        return int(given.function(given))


def rerun(directory: Path) -> int:
    """Train the recipe of a run again, beside it; print `identical` or what differs, and return 0 or 1.

    Raises:
        Refusal: There is no run in `directory`, or its configuration is not one that may be run.
    """
    first = Record(directory)
    from gridstorm.run import as_started, train

    composed, made = as_started(first), list[Record]()

    def beside() -> Record:
        home = directory.resolve()  # `.` has no name
        made.append(
            Record.create(home.parent, component(f"{home.name}-rerun"), composed, f"gridstorm rerun {directory}")
        )
        return made[0]

    with quiet():
        train(composed, beside)
    found = [*curves_differ(first.rows(), made[0].rows()), *_weights(first, made[0])]
    found += environments_differ(first.environment, made[0].environment) if found else []
    if not found:
        print(f"identical: all {len(first.rows())} points of the curves and all weights, bit for bit")
        return 0
    print("\n".join(["not identical:", *(f"  {line}" for line in found)]))
    return 1


def curves_differ(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> Iterator[str]:
    """Yield in what the points of two curves differ: their number, and the first point that does."""
    if len(first) != len(second):
        yield f"points of the curves: {len(first)}, now {len(second)}"
    for one, two in zip(first, second, strict=False):
        names = [name for name in sorted({*one, *two} - {*COUNTERS}) if one.get(name) != two.get(name)]
        if names:
            name = names[0]
            yield f"{name} at step {one['step']}: {one.get(name)}, now {two.get(name)} (and all that follows)"
            return


def _weights(first: Record, second: Record) -> Iterator[str]:
    import torch

    from gridstorm.review import loaded

    if not (first.last_checkpoint and second.last_checkpoint):
        return
    one, two = (
        loaded(record.last_checkpoint)["state_dict"]  # type: ignore[arg-type]  # there is one
        for record in (first, second)
    )
    unequal = [name for name in one if name not in two or not torch.equal(one[name], two[name])]
    if unequal:
        yield f"last weights: {len(unequal)} of {len(one)} tensors, first {unequal[0]}"


def environments_differ(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Yield what may be the cause of other numbers: code, data, device, machine, versions."""
    for key in ("commit", "data", "device", "host", "python", "cores"):
        if first.get(key) != second.get(key):
            yield f"{key}: {first.get(key)}, now {second.get(key)}"
    for package in sorted({*first.get("versions", {}), *second.get("versions", {})}):
        one, two = (side.get("versions", {}).get(package) for side in (first, second))
        if one != two:
            yield f"{package}: {one}, now {two}"
