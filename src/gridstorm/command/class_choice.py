"""A dotted path as a choice, `model=mypkg.net.Net`: its section is the class's own signature, without a YAML file."""

import ast
import re
from typing import Any

from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import OmegaConf

from gridstorm.command.source import Unlisted, register
from gridstorm.config import MAPPINGS, PARTIAL, given, offered
from gridstorm.target import as_installed, find
from gridstorm.target import problem as wrong_target

OF_CLASSES = ("data", "model", "loss", "optimizer", "scheduler", *MAPPINGS)  # groups of which a class is a choice
PLAIN = (bool, int, float, str, type(None))
MISSING = "???"  # OmegaConf's, of what has no default


class Classes(Unlisted):
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
        path = as_installed(path)
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


register(Classes)


def is_class(name: Any) -> bool:
    """Tell whether a choice is written as the dotted path of a class."""
    return isinstance(name, str) and re.fullmatch(r"\w+(\.\w+)+", name) is not None


def problem(group: str, path: str) -> tuple[str, str] | None:
    """Return why a class is no choice, in a sentence of fact and one of remedy; None if it is one."""
    wrong = wrong_target(group, as_installed(path))
    return (wrong.fact, wrong.remedy) if wrong else None


def section(group: str, path: str) -> dict[str, Any]:
    """Return the section that a YAML file of the choice would hold: its arguments with their defaults.

    What the run gives is left out, and so is what has a default that is no plain value; what has none is missing.
    """
    target = find(path)
    assert target is not None, "problem() was not asked"
    values: dict[str, Any] = {"_target_": path, **({"_partial_": True} if group in PARTIAL else {})}
    for argument in target.signature().arguments:
        key = f"{group}." if group in MAPPINGS else group
        if argument.name in given(key, target) or (argument.name in offered(key)):
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
