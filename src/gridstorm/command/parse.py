"""Overrides as Hydra reads them, but for paths, which are read as they are: `lr=0.1` can be the name of a directory."""

from collections.abc import Sequence
from contextlib import suppress

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from gridstorm.command.hydra import as_text

PATHS = ("resume", "branch", "output_dir", "name", "sweep.name", "sweep.from", "experiment")


def read(text: str, loader: ConfigLoader | None = None) -> Override | None:
    """Return what Hydra reads in an override, None where it cannot.

    Args:
        text: The override.
        loader: Hydra's, which knows the choices for `glob()`.
    """
    parser = OverridesParser.create(loader)
    head, equals, value = text.partition("=")  # the head may begin with + or ~
    is_path = head.lstrip("+~") in PATHS and equals and value
    quoted = [f"{head}={as_text(QuotedString(value, Quote.single))}"] if is_path else []
    for candidate in [text, *quoted] if head.lstrip("+~") else []:
        with suppress(HydraException, RecursionError, ValueError):  # the last: a number with thousands of digits
            [parsed] = parser.parse_overrides([candidate])
            return parsed
    return None


def read_all(texts: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Return what Hydra reads in overrides that were checked before."""
    return [override for text in texts if (override := read(text, loader))]
