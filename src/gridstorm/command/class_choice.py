"""A dotted path as a choice, `model=mypkg.net.Net`: its section is the class's own signature, without a YAML file."""

import ast
import re
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from gridstorm.config import COUNTED, MAPPINGS, PARTIAL, given
from gridstorm.target import find
from gridstorm.target import problem as wrong_target

OF_CLASSES = ("data", "model", "loss", "optimizer", "scheduler", *MAPPINGS)  # groups of which a class is a choice
PLAIN = (bool, int, float, str, type(None))
MISSING = "???"  # OmegaConf's, of what has no default


class Classes(ConfigSource):
    """Where Hydra finds the choices that are classes."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before `://` in Hydra's search path."""
        return "class"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the section of a class.

        Raises:
            ConfigLoadError: It is none that may be built.
        """
        group, _, path = config_path.removesuffix(".yaml").partition("/")
        if wrong := problem(group, path):
            raise ConfigLoadError(" ".join(wrong))
        content = section(group, path)
        whole = {snake_case(path): content} if group in MAPPINGS else content
        return ConfigResult(
            provider=self.provider, path=f"{self.scheme()}://", config=OmegaConf.create(whole), header={"package": None}
        )

    def is_config(self, config_path: str) -> bool:
        """Tell whether a path is a group of ours with a class for its choice."""
        group, _, path = config_path.removesuffix(".yaml").partition("/")
        return group in OF_CLASSES and is_class(path)

    def is_group(self, config_path: str) -> bool:
        """Return false: no choices are listed here."""
        return False

    def available(self) -> bool:
        """Return true: a class is looked for on the path of imports."""
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return nothing: who names a class knows it."""
        return []


class ClassPath(SearchPathPlugin):
    """Lets Hydra look there too."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the source into the search path."""
        search_path.prepend("gridstorm", f"{Classes.scheme()}://")


for plugin in (Classes, ClassPath):
    Plugins.instance().register(plugin)


def is_class(name: Any) -> bool:
    """Tell whether a choice is written as the dotted path of a class."""
    return isinstance(name, str) and re.fullmatch(r"\w+(\.\w+)+", name) is not None


def problem(group: str, path: str) -> tuple[str, str] | None:
    """Return why a class is no choice, in a sentence of fact and one of remedy; None if it is one."""
    wrong = wrong_target(group, path)
    return (wrong.fact, wrong.remedy) if wrong else None


def section(group: str, path: str) -> dict[str, Any]:
    """Return the section that a YAML file of the choice would hold: its arguments with their defaults.

    What the run gives is left out, and so is what has a default that is no plain value; what has none is missing.
    """
    target = find(path)
    assert target is not None, "problem() was not asked"
    values: dict[str, Any] = {"_target_": path, **({"_partial_": True} if group in PARTIAL else {})}
    for argument in target.signature().arguments:
        if argument.name in given(f"{group}." if group in MAPPINGS else group, target) or (
            group == "scheduler" and argument.name in COUNTED
        ):
            continue
        if argument.default is None:
            values[argument.name] = MISSING
        elif (default := _plain(argument.default)) is not ...:
            values[argument.name] = default
    return values


def _plain(default: ast.expr) -> Any:
    """Return a default that is written as plain data, `...` for any other."""
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError, RecursionError):
        return ...
    if isinstance(value, tuple | list):
        return list(value) if all(isinstance(item, PLAIN) for item in value) else ...
    is_plain = isinstance(value, PLAIN) and "${" not in str(value) and value != MISSING
    return value if is_plain else ...


def snake_case(path: str) -> str:
    """Return a class's name as a key: `mypkg.cb.FreezeAll` is `freeze_all`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", path.rpartition(".")[2]).lower()
