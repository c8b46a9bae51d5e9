"""What a `_target_` is, what it takes, and building it: read from its source, not imported."""

from gridstorm.target.annotation import accepts, describe, kind, literals, of_values, shown, written
from gridstorm.target.build import build, where
from gridstorm.target.definition import refresh, remembered, source_file, source_text
from gridstorm.target.dependency import foreign_import, own_modules
from gridstorm.target.project import (
    Project,
    at_work,
    command,
    entered,
    own_packages,
    permission,
    project,
    project_at,
    shown_path,
    within,
)
from gridstorm.target.target import SPECIAL, Argument, Target, as_installed, find, is_a_librarys, problem, targets

__all__ = [
    "SPECIAL",
    "Argument",
    "Project",
    "Target",
    "accepts",
    "as_installed",
    "at_work",
    "build",
    "command",
    "describe",
    "entered",
    "find",
    "foreign_import",
    "is_a_librarys",
    "kind",
    "literals",
    "of_values",
    "own_modules",
    "own_packages",
    "permission",
    "problem",
    "project",
    "project_at",
    "refresh",
    "remembered",
    "shown",
    "shown_path",
    "source_file",
    "source_text",
    "targets",
    "where",
    "within",
    "written",
]
