"""Hydra's private names that are used here, each with what a public way would lack (hydra-core 1.3)."""

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource as HydrasSchemas
from hydra._internal.hydra import Hydra
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.version import VersionBase
from omegaconf import DictConfig

from gridstorm.config import unreadable_yaml
from gridstorm.target import own_packages, permission

__all__ = ["FileConfigSource", "Hydra", "get_args_parser"]

INSTALLED = Path(__file__).parents[1] / "conf"  # a link to conf/ in a clone, a folder in a wheel
NO_IMPORT = "It would import a package, which can run any code."


class Packages(ImportlibResourcesConfigSource):
    """Folders inside packages (`pkg://`), whose import runs their code: of Hydra, and of what is allowed."""

    def __init__(self, provider: str, path: str) -> None:
        if not may_import(place := path.rpartition("://")[2]):
            raise ConfigLoadError(f"{path}: {NO_IMPORT}\n{instead(place)}")
        super().__init__(provider, path)


class StructuredConfigSource(HydrasSchemas):
    """Hydra's own schemas (`structured://`) without a module, which would be imported; Hydra asks for this name."""

    def __init__(self, provider: str, path: str) -> None:
        if place := path.rpartition("://")[2]:
            raise ConfigLoadError(f"{path}: {NO_IMPORT}\n{instead(place)}")
        super().__init__(provider, path)


class CheckedFiles(FileConfigSource):
    """Files of configurations, looked at before they are read: Hydra would tell of a codec, or unfold an alias bomb."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Return what a file holds.

        Raises:
            ConfigLoadError: It is none that can be read; the text is a line of fact and one of remedy.
        """
        file = Path(self.path, self._normalize_file_name(config_path))
        if file.exists() and (wrong := unreadable_yaml(file)):
            raise ConfigLoadError("\n".join(wrong))
        return super().load_config(config_path)


# There is no public way to replace a source; the first two of these import whatever package a command line names.
SOURCES: dict[str, Any] = {"pkg": Packages, "structured": StructuredConfigSource, "file": CheckedFiles}


def guard() -> None:
    """Let Hydra read configurations by these sources, and its store be its own copy.

    Hydra deep-copies its store of built-in configurations for each group that it lists, half of the time of --help,
    though nothing writes to the copy.
    """
    Plugins.instance()  # registers Hydra's own
    SourcesRegistry.instance().types |= SOURCES
    store = ConfigStore.instance()
    store.__dict__["__deepcopy__"] = lambda memo: store


def instead(place: str) -> str:
    """Return what to do where choices were to be found by importing a package."""
    package = re.split("[./]", place)[0]
    return f"Name a folder (file://FOLDER), or if {package} is your own, allow it: {permission(package)}."


def may_import(package: str) -> bool:
    """Tell whether a package may be imported for the configurations in it."""
    dotted = f"{package.replace('/', '.')}."
    return dotted.startswith(("hydra.", "gridstorm.", *own_packages()))


def hydra_in(folder: str | None, config_dir: str | None = None) -> Hydra:
    """Return Hydra as `@hydra.main` would make it: its public way parses the command line once more.

    Args:
        folder: That of the configurations, as an absolute path or as `pkg://PACKAGE`; those of Gridstorm stand behind
            it, and alone where it is None.
        config_dir: A folder that is searched beside it.
    """
    guard()
    path = create_automatic_config_search_path(None, None, folder or str(INSTALLED))
    beside = [("command-line", Path(config_dir).resolve())] if config_dir else []
    if folder and Path(folder).resolve() != INSTALLED.resolve():
        beside.append(("gridstorm", INSTALLED))
    for provider, place in beside:
        path.prepend(provider, f"file://{place}", SearchPathQuery(provider="schema"))  # which is to be the last
    GlobalHydra.instance().clear()
    version.setbase("1.3")  # as an argument of @hydra.main would; without it Hydra warns
    return Hydra.create_main_hydra2("train", path)


@contextmanager
def hydra_as_it_was() -> Iterator[None]:
    """Leave Hydra's global state as it was: a notebook may use Hydra for something else, and several threads this."""
    global _inside, _outside
    with _lock:
        _inside += 1
        _outside = _state() if _inside == 1 else _outside
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _restore(_outside)


_lock = Lock()
_inside = 0  # how many are inside
_outside: dict[str, Any] = {}  # the state that was found by the first of them


def _state() -> dict[str, Any]:
    Plugins.instance()
    return {
        "hydra": GlobalHydra.instance().hydra,
        "version": VersionBase.instance().version_base,
        "job": copy.deepcopy(JobRuntime.instance().conf),
        "sources": dict(SourcesRegistry.instance().types),
        "store": "__deepcopy__" in ConfigStore.instance().__dict__,
    }


def _restore(state: dict[str, Any]) -> None:
    GlobalHydra.instance().hydra = state["hydra"]
    VersionBase.instance().version_base = state["version"]
    JobRuntime.instance().conf = state["job"]
    SourcesRegistry.instance().types = state["sources"]
    if not state["store"]:
        ConfigStore.instance().__dict__.pop("__deepcopy__", None)


def raw_value(override: Override) -> Any:
    """Return what an override holds: a range or an interval as such, which `value()` reads as a list of its values."""
    return override._value


def values_of(override: Override) -> list[Any]:
    """Return the values that an override lists, as plain ones: publicly there are only their texts."""
    if not override.is_sweep_override():
        return [override.value()]
    values = [*map(Override._convert_value, override.sweep_iterator())]
    return [*map(rounded, values)] if isinstance(override._value, RangeSweep) else values


def rounded(value: Any) -> Any:
    """Return a number of a range as a person would write it: 0.3, where the sum of its steps is 0.30000000000000004."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def as_text(value: Any) -> str:
    """Return a value in Hydra's own syntax, quoted where it needs that."""
    return str(Override._get_value_element_as_str(value))


def apply(config: DictConfig, override: Override) -> None:
    """Set one key as Hydra does: its public way composes everything anew, a tenth of a second for each key."""
    ConfigLoaderImpl._apply_overrides_to_config([override], config)


def dirname(overrides: Sequence[Override], options: DictConfig) -> str:
    """Return what `${hydra:job.override_dirname}` stands for."""
    return str(get_overrides_dirname([*overrides], **{str(key): value for key, value in options.items()}))
