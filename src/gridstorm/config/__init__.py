"""A configuration: its keys, what is wrong with its values, its recipe and signature."""

from gridstorm.config.check import check_values, checked_again, resolved, told_once
from gridstorm.config.compatibility import fitting, wrong_direction
from gridstorm.config.file import digest_of_folder, named_files, named_folders
from gridstorm.config.group import (
    COUNTED,
    GROUPS,
    LISTS,
    MAPPINGS,
    NOT_A_SWEEP,
    OF_MODULES,
    OF_SWEEPS,
    PARTIAL,
    given,
    is_module,
    left_out,
    of_runs,
    of_target,
)
from gridstorm.config.limit import CONFIG, LONGEST, MANIFEST, component, is_file, misnamed
from gridstorm.config.recipe import CONDITIONAL, RunConfig, default_name
from gridstorm.config.resolve import as_written, copies, interpolated, keys, leaves, no_data, original, plainly_written
from gridstorm.config.task import AUTO, METRICS, OF_CLASSES, metrics, misshapen, task_of
from gridstorm.config.value import Point, brief, duration, label, number, seconds

__all__ = [
    "AUTO",
    "CONDITIONAL",
    "CONFIG",
    "COUNTED",
    "GROUPS",
    "LISTS",
    "LONGEST",
    "MANIFEST",
    "MAPPINGS",
    "METRICS",
    "NOT_A_SWEEP",
    "OF_CLASSES",
    "OF_MODULES",
    "OF_SWEEPS",
    "PARTIAL",
    "Point",
    "RunConfig",
    "as_written",
    "brief",
    "check_values",
    "checked_again",
    "component",
    "copies",
    "default_name",
    "digest_of_folder",
    "duration",
    "fitting",
    "given",
    "interpolated",
    "is_file",
    "is_module",
    "keys",
    "label",
    "leaves",
    "left_out",
    "metrics",
    "misnamed",
    "misshapen",
    "named_files",
    "named_folders",
    "no_data",
    "number",
    "of_runs",
    "of_target",
    "original",
    "plainly_written",
    "resolved",
    "seconds",
    "task_of",
    "told_once",
    "wrong_direction",
]
