"""Presets that are named by their path, such as `experiment=outputs/grid/best.yaml`: Hydra finds them too.

Such a file may come from someone else. It can choose and set what a run has, and all of that is checked as if it stood
on the command line; it cannot reach Hydra's own node, which names code to be run, nor other files.
"""

import re
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource as HydrasSchemas
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from gridstorm.limits import is_file
from gridstorm.refusal import closest
from gridstorm.target import ALLOW_VARIABLE, own_packages

PRESETS = "experiment"
ENDING = ".yaml"  # a value of the group that ends so is a path, not the name of a choice
NO_IMPORT = (
    "It would import a package, which can run any code.",
    f"Name a folder (file://FOLDER), or allow your own: {ALLOW_VARIABLE}=PACKAGE python train.py ...",
)
REMEDY = "Name one that a sweep wrote, such as outputs/NAME/best.yaml."


class Presets(FileConfigSource):
    """Where Hydra looks for the choices of `experiment` that end in .yaml: below the working directory."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before `://` in Hydra's search path."""
        return "preset"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the file's content.

        Raises:
            ConfigLoadError: It is no preset, or one that reaches further than it may.
        """
        if found := problem(_path(config_path)):
            raise ConfigLoadError(found[0])
        return super().load_config(_path(config_path))

    def is_config(self, config_path: str) -> bool:
        """Tell whether there is a file at a path of the group."""
        return (
            config_path.startswith(f"{PRESETS}/") and config_path.endswith(ENDING) and is_file(Path(_path(config_path)))
        )

    def is_group(self, config_path: str) -> bool:
        """Return false: no choices are listed here."""
        return False

    def available(self) -> bool:
        """Return true: a working directory is always there."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return nothing: who names a path knows it."""
        return []


class PresetPath(SearchPathPlugin):
    """Lets Hydra look there, before it looks into its folders."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the source into the search path."""
        search_path.prepend("gridstorm", f"{Presets.scheme()}://")


class Packages(ImportlibResourcesConfigSource):
    """Folders inside packages (`pkg://`), whose import runs their code: of Hydra, and of what is allowed."""

    def __init__(self, provider: str, path: str) -> None:
        if not may_import(path.rpartition("://")[2]):
            raise ConfigLoadError("\n".join((f"{path}: {NO_IMPORT[0]}", NO_IMPORT[1])))
        super().__init__(provider, path)


class StructuredConfigSource(HydrasSchemas):
    """Hydra's own schemas (`structured://`) without a module, which would be imported; Hydra asks for this name."""

    def __init__(self, provider: str, path: str) -> None:
        if path.rpartition("://")[2]:
            raise ConfigLoadError("\n".join((f"{path}: {NO_IMPORT[0]}", NO_IMPORT[1])))
        super().__init__(provider, path)


def may_import(package: str) -> bool:
    """Tell whether a package may be imported for the configurations in it."""
    dotted = f"{package.replace('/', '.')}."
    return dotted.startswith(("hydra.", "gridstorm.", *own_packages()))


for plugin in (Presets, PresetPath):
    Plugins.instance().register(plugin)
SourcesRegistry.instance().types |= {"pkg": Packages, "structured": StructuredConfigSource}


def _path(config_path: str) -> str:
    return config_path.removeprefix(f"{PRESETS}/")


def problem(path: str) -> tuple[str, str] | None:
    """Return why a file is no preset that may be used, in a sentence of fact and one of remedy; None if it is one."""
    if not is_file(Path(path)):
        folder = Path(path).parent
        beside = [str(file) for file in folder.glob(f"*{ENDING}")] if folder.is_dir() else []
        close = closest(path, beside)
        return "There is no such file.", f"Did you mean {close[0]!r}?" if close else REMEDY
    try:
        found = FileConfigSource("gridstorm", "file://").load_config(path)
    except Exception as error:  # of many kinds: no text, no YAML, no section
        return f"It cannot be read ({str(error).splitlines()[0].rstrip('.')}).", REMEDY
    if found.header.get("package") != "_global_" or not isinstance(found.config, DictConfig):
        return "It is no preset: its first line is not # @package _global_.", REMEDY
    content: Any = OmegaConf.to_container(found.config, resolve=False)
    if "hydra" in content:
        return "It sets Hydra's own node, which can name any code.", "Take its section hydra out."
    wrong = [entry for entry in content.get("defaults") or [] if not _harmless(entry)]
    if wrong:
        return f"Its list of defaults holds {wrong[0]!r}.", "Keep entries such as override /model: mlp."
    return None


def _harmless(entry: Any) -> bool:
    """Tell whether an entry of a list of defaults makes a choice of the run's, by a name and not by a path."""
    if not isinstance(entry, dict) or len(entry) != 1:
        return bool(entry == "_self_")
    [(key, choice)] = entry.items()
    names = choice if isinstance(choice, list) else [choice]
    group = re.fullmatch(r"override /(\w+)", str(key))
    return bool(
        (key == f"/{PRESETS}" or (group and group[1] != "hydra"))
        and all(name is None or re.fullmatch(r"\w[\w-]*", str(name)) for name in names)
    )
