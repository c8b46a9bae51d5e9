"""A command line becomes a checked configuration: Hydra composes it, and all that is wrong is said at once."""

from gridstorm.command.command_line import carry_out
from gridstorm.command.compose import Composition, compose, ignored
from gridstorm.command.door import Door, door_of
from gridstorm.command.hydra import as_text, hydra_as_it_was
from gridstorm.command.override import Overrides
from gridstorm.command.parse import read_all
from gridstorm.command.preset import again, as_preset, fixed, pasted
from gridstorm.command.space import Axis, axes, conditional

__all__ = [
    "Axis",
    "Composition",
    "Door",
    "Overrides",
    "again",
    "as_preset",
    "as_text",
    "axes",
    "carry_out",
    "compose",
    "conditional",
    "door_of",
    "fixed",
    "hydra_as_it_was",
    "ignored",
    "pasted",
    "read_all",
]
