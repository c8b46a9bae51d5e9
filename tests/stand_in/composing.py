"""Composing in this process what the command line would compose."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.utils import JobRuntime, setup_globals
from omegaconf import DictConfig

from gridstorm.command.compose import compose
from gridstorm.command.hydra import guard
from gridstorm.command.override import Overrides
from gridstorm.config.recipe import RunConfig
from gridstorm.error import UserError

guard()  # as the door does

CONF = Path(__file__).parents[2] / "conf"


class Remembering(ConfigLoaderImpl):
    """Hydra's loader, which composes the same choices once: it takes a tenth of a second each time."""

    def __init__(self, folder: Path | None = None) -> None:
        path = create_config_search_path(str(CONF))
        if folder:
            path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
        setup_globals()
        JobRuntime.instance().set("name", "train")
        super().__init__(path)
        self.known: dict[tuple[str, ...], DictConfig] = {}

    def load_configuration(
        self, config_name: str | None, overrides: list[str], *args: Any, **kwargs: Any
    ) -> DictConfig:
        key = (str(config_name), *overrides)
        if key not in self.known:
            self.known[key] = super().load_configuration(config_name, overrides, *args, **kwargs)
        return copy.deepcopy(self.known[key])


LOADER = Remembering()


def composed(*overrides: str, loader: ConfigLoaderImpl = LOADER) -> RunConfig:
    """Compose and check overrides."""
    return compose(Overrides(loader, "config", overrides)).run


def problems(*overrides: str, loader: ConfigLoaderImpl = LOADER, sweep: bool = False) -> list[str]:
    """Return each thing that is wrong with overrides, as it is said to the user."""
    try:
        compose(Overrides(loader, "config", overrides, sweep))
    except UserError as refusal:
        return [str(problem) for problem in refusal.problems]
    return []


def written(folder: Path, files: dict[str, str]) -> Remembering:
    """Write configuration files and return a loader that finds them beside ours, as with --config-dir."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Remembering(folder)


def names(found: Sequence[str]) -> list[str]:
    """Return what stands before the sentences: the key with what was given."""
    return [one.partition(": ")[0] for one in found]
