"""What a `_target_` is, what it takes, and building it: read from its source, not imported."""

from gridstorm.target.annotation import accepts, describe, kind, literals, of_values, shown, written
from gridstorm.target.build import build, where
from gridstorm.target.definition import source_file
from gridstorm.target.target import (
    ALLOW_VARIABLE,
    LIBRARIES,
    SPECIAL,
    Argument,
    Target,
    find,
    is_a_librarys,
    own_packages,
    problem,
    targets,
)

__all__ = [
    "ALLOW_VARIABLE",
    "LIBRARIES",
    "SPECIAL",
    "Argument",
    "Target",
    "accepts",
    "build",
    "describe",
    "find",
    "is_a_librarys",
    "kind",
    "literals",
    "of_values",
    "own_packages",
    "problem",
    "shown",
    "source_file",
    "targets",
    "where",
    "written",
]
