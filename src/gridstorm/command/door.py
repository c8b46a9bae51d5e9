"""The doors: a train.py, `gridstorm train` and Python, each with the folder of its configurations and its project."""

import argparse
import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gridstorm.command.hydra import Hydra, hydra_in
from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, did_you_mean
from gridstorm.target import Project, project_at, shown_path

FOLDER, NAME = "conf", "config"  # where nothing says another


@dataclass(frozen=True)
class Door:
    """By which way a configuration is asked for.

    Args:
        typed: What is typed to train, such as `python train.py`.
        place: The folder that the configurations' folder stands in, and in or above which the pyproject.toml is.
        function: What a run's configuration is handed to.
        folder: That of the configurations; None where only Gridstorm's own are.
        name: That of the configuration which is composed.
        source: What said which folder it is; None where it may be missing.
    """

    typed: str
    place: Path
    function: Callable[[RunConfig], Any]
    folder: str | None = FOLDER
    name: str = NAME
    source: str | None = None

    @cached_property
    def project(self) -> Project:
        """The project that the door belongs to."""
        return project_at(self.place, self.typed)

    def hydra(self, flags: argparse.Namespace) -> Hydra:
        """Return Hydra as `@hydra.main` at this door would make it.

        Raises:
            UserError: A folder or a file that is named is not there.
        """
        folder = self._folder(flags)
        if flags.config_dir:
            refuse_what_is_no_folder(f"--config-dir {flags.config_dir}", Path(flags.config_dir))
        hydra = hydra_in(folder, flags.config_dir)
        folders = [Path(source.path) for source in hydra.config_loader.get_sources() if source.scheme() == "file"]
        files = {file.stem for folder in folders for file in folder.glob("*.yaml")}
        name = flags.config_name or self.name
        if name.removesuffix(".yaml") not in files and "/" not in name:
            key = f"--config-name {name}" if flags.config_name else f"config_name={name} of {self.source}"
            raise UserError([Problem(key, f"There is no {name}.yaml in {folders[0]}.", did_you_mean(name, files))])
        if folder and not flags.config_name:
            refuse_what_is_not_read(Path(folder), name)
        return hydra

    def _folder(self, flags: argparse.Namespace) -> str | None:
        """Return the folder of the configurations, None where there is none but Gridstorm's."""
        named = flags.config_path or self.folder
        if named is None or named.startswith("pkg://"):
            return named
        folder, source = self.place / named, "--config-path" if flags.config_path else self.source
        if source:
            key = f"--config-path {folder}" if flags.config_path else f"config_path={named} of {source}"
            refuse_what_is_no_folder(key, folder)
        return str(folder) if folder.is_dir() else None


def refuse_what_is_no_folder(key: str, folder: Path) -> None:
    """Refuse a folder of configurations that is not there."""
    if not folder.is_dir():
        raise UserError([Problem(key, "There is no such directory.", "Name one that holds groups of choices.")])


def refuse_what_is_not_read(folder: Path, name: str) -> None:
    """Refuse a folder whose configuration has another name: Gridstorm's own would be trained in its place."""
    if folder.is_dir() and not (folder / f"{name}.yaml").is_file():
        others = sorted(file.name for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
        if others:
            remedy = f"Rename {others[0]}, or write --config-name {others[0].removesuffix('.yaml')}."
            raise UserError([Problem(str(folder), f"There is no {name}.yaml in it.", remedy)])


def door_of(function: Callable[..., Any]) -> Door:
    """Return the door of the script that is run.

    Args:
        function: What a run's configuration is handed to. Where it is decorated with `@hydra.main(config_path=...,
            config_name=...)`, the folder and the name are those, beside the file in which it stands.
    """
    main = sys.modules["__main__"]
    module = main.__spec__.name.removesuffix(".__main__") if main.__spec__ else None
    typed = f"python -m {module}" if module else f"python {shlex.quote(sys.argv[0])}"
    decorated = _decorated(function)
    if decorated is None:
        return Door(typed, Path(sys.argv[0]).absolute().parent, function)
    given = inspect.getclosurevars(decorated).nonlocals
    file = Path(inspect.getfile(inspect.unwrap(function))).absolute()
    source = f"@hydra.main in {shown_path(file)}"
    name = (given["config_name"] or NAME).removesuffix(".yaml")
    return Door(typed, file.parent, given["task_function"], given["config_path"], name, source)


def _decorated(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return what `@hydra.main` made, which may be wrapped in turn; None where it made nothing."""
    one: Any = function
    while one is not None:
        if inspect.isfunction(one) and {"config_path", "config_name", "task_function"} <= {*one.__code__.co_freevars}:
            return one
        one = getattr(one, "__wrapped__", None)
    return None
