"""A command line becomes a checked configuration."""

from gridstorm.config.check import check_values, told_once
from gridstorm.config.command_line import door
from gridstorm.config.compose import accept, compose, recheck, without_hydra
from gridstorm.config.group import COUNTED, GROUPS, OF_SWEEPS
from gridstorm.config.limit import LONGEST, component, is_file, misnamed
from gridstorm.config.override import Overrides, folders, whole
from gridstorm.config.preset import again, as_preset, fixed
from gridstorm.config.recipe import CONDITIONAL, Composed, default_name, named_files
from gridstorm.config.resolve import copies, leaves, no_data, plainly_written, resolve
from gridstorm.config.task import METRICS, metrics, misshapen
from gridstorm.config.value import Point, brief, duration, label, number, seconds

__all__ = [
    "CONDITIONAL",
    "COUNTED",
    "GROUPS",
    "LONGEST",
    "METRICS",
    "OF_SWEEPS",
    "Composed",
    "Overrides",
    "Point",
    "accept",
    "again",
    "as_preset",
    "brief",
    "check_values",
    "component",
    "compose",
    "copies",
    "default_name",
    "door",
    "duration",
    "fixed",
    "folders",
    "is_file",
    "label",
    "leaves",
    "metrics",
    "misnamed",
    "misshapen",
    "named_files",
    "no_data",
    "number",
    "plainly_written",
    "recheck",
    "resolve",
    "seconds",
    "told_once",
    "whole",
    "without_hydra",
]
