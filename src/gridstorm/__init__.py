"""Gridstorm: experiments composed by Hydra, trained by Lightning, recorded, and shown in TensorBoard."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridstorm.cli import main

__all__ = ["main"]
HOMES = {"main": "cli"}  # loaded where they are first asked for: importing Gridstorm takes no time


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'gridstorm' has no attribute {name!r}")
    return getattr(import_module(f"gridstorm.{HOMES[name]}"), name)
