"""The house: where the sources are, and in which order its packages stand."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ALL = "GRIDSTORM_ALL" in os.environ  # whether to test what takes long in all its variants; CI tests the telling ones
SOURCE, CONF = ROOT / "src" / "gridstorm", ROOT / "conf"
# A package, or a file beside them, imports only what stands before it.
ORDER = (
    "error",
    "target",
    "config",
    "lint",
    "record",
    "command",
    "diagnosis",
    "statistics",
    "answer",
    "report",
    "module",
    "objects",
    "run",
    "prediction",
    "fusion",
    "sweeper",
    "library",
    "archive",
    "lesson",
    "new",
    "cli",
    "__main__",
)
PACKAGES = [name for name in ORDER if (SOURCE / name).is_dir()]
FAMILIES = sorted({file.parent.name for file in SOURCE.glob("*/*.py")} - {*ORDER, "template"})  # the folders of choices


def telling(variants: Iterable[T], *chosen: T) -> list[T]:
    """Return all variants of a test where all are asked for, elsewhere those that were chosen."""
    return [variant for variant in variants if ALL or variant in chosen]
