"""A command line becomes a checked configuration."""

from gridstorm.config.command_line import door
from gridstorm.config.compose import Composition, checked_again, compose
from gridstorm.config.group import COUNTED, GROUPS, OF_SWEEPS
from gridstorm.config.hydra import as_text, raw_value, values_of
from gridstorm.config.limit import CONFIG, LONGEST, MANIFEST, component, is_file, misnamed
from gridstorm.config.override import Overrides, whole
from gridstorm.config.preset import again, as_preset, fixed
from gridstorm.config.recipe import CONDITIONAL, RunConfig, default_name, named_files
from gridstorm.config.resolve import leaves, no_data
from gridstorm.config.task import METRICS, metrics, misshapen
from gridstorm.config.value import Point, brief, duration, label, number, seconds

__all__ = [
    "CONDITIONAL",
    "CONFIG",
    "COUNTED",
    "GROUPS",
    "LONGEST",
    "MANIFEST",
    "METRICS",
    "OF_SWEEPS",
    "Composition",
    "Overrides",
    "Point",
    "RunConfig",
    "again",
    "as_preset",
    "as_text",
    "brief",
    "checked_again",
    "component",
    "compose",
    "default_name",
    "door",
    "duration",
    "fixed",
    "is_file",
    "label",
    "leaves",
    "metrics",
    "misnamed",
    "misshapen",
    "named_files",
    "no_data",
    "number",
    "raw_value",
    "seconds",
    "values_of",
    "whole",
]
