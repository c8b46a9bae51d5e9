"""Gridstorm: experiments composed by Hydra, trained by Lightning, recorded, and shown in TensorBoard."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridstorm.cli import main
    from gridstorm.config import RunConfig
    from gridstorm.error import RunFailed, UserError
    from gridstorm.library import Run, Sweep, compose, diagnose, runs, sweep, train

__all__ = [
    "Run",
    "RunConfig",
    "RunFailed",
    "Sweep",
    "UserError",
    "compose",
    "diagnose",
    "main",
    "runs",
    "sweep",
    "train",
]
HOMES = {"main": "cli", "RunConfig": "config", "RunFailed": "error", "UserError": "error"}


def __getattr__(name: str) -> Any:
    """Load a name where it is first asked for: importing Gridstorm takes no time."""
    if name not in __all__:
        raise AttributeError(f"module 'gridstorm' has no attribute {name!r}")
    return getattr(import_module(f"gridstorm.{HOMES.get(name, 'library')}"), name)
