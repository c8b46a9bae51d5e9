"""Where a command was given: by which door, and in whose project, whose pyproject.toml allows packages of its own."""

import os
import shlex
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gridstorm.error import Problem, UserError, did_you_mean

P = ParamSpec("P")
T = TypeVar("T")

ALLOW_VARIABLE = "GRIDSTORM_ALLOW"
PYPROJECT = "pyproject.toml"
KEYS = ("allow",)  # of [tool.gridstorm]


@dataclass(frozen=True)
class Project:
    """A place in which commands are given.

    Args:
        door: What is typed there to train, such as `python train.py`.
        file: The pyproject.toml that holds for it, None where there is none.
        allow: The packages that this file allows configurations to build of.
    """

    door: str = "gridstorm train"
    file: Path | None = None
    allow: tuple[str, ...] = ()


_entered = [Project()]  # the last one holds; of the whole process, since a job may run in another thread


def project() -> Project:
    """Return the project in which this process is at work."""
    return _entered[-1]


@contextmanager
def entered(project: Project) -> Iterator[Project]:
    """Be at work in a project."""
    _entered.append(project)
    try:
        yield project
    finally:
        _entered.remove(project)


def within(project: Project, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function at work in a project: what a process that was started for a job has to be told."""
    with entered(project):
        return function(*args, **kwargs)


def project_at(folder: Path, door: str = Project.door) -> Project:
    """Return the project of a folder: what the nearest pyproject.toml says, in it or above it.

    Raises:
        UserError: The file, or its section [tool.gridstorm], cannot be read.
    """
    folders = (folder.absolute(), *folder.absolute().parents)
    file = next((place / PYPROJECT for place in folders if (place / PYPROJECT).is_file()), None)
    return Project(door, file, _allowed(file)) if file else Project(door)


def _allowed(file: Path) -> tuple[str, ...]:
    try:
        tool = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        raise UserError([Problem(str(file), f"It cannot be read ({error}).", "Correct it.")]) from error
    section: Any = tool.get("gridstorm", {}) if isinstance(tool, dict) else {}
    key = f"[tool.gridstorm] in {file}"
    if not isinstance(section, dict):
        raise UserError([Problem(key, "It is no section.", 'Write allow = ["my_project"] in it.')])
    if unknown := [name for name in section if name not in KEYS]:
        raise UserError([Problem(key, f"There is no key {unknown[0]!r}.", did_you_mean(unknown[0], KEYS))])
    names = section.get("allow", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isidentifier() for name in names):
        fact = "allow is no list of packages' names."
        raise UserError([Problem(key, fact, 'Write it such as allow = ["my_project"].')])
    return tuple(names)


def own_packages() -> tuple[str, ...]:
    """Return what begins the path of whatever $GRIDSTORM_ALLOW or the project allows."""
    names = [name.strip() for name in os.environ.get(ALLOW_VARIABLE, "").split(",")]
    return tuple(f"{name}." for name in (*names, *project().allow) if name)


def at_work() -> Project:
    """Return the project with all that is allowed, for a process that may have been started before that was so."""
    return replace(project(), allow=tuple(name.removesuffix(".") for name in own_packages()))


def command(arguments: str) -> str:
    """Return a command line that trains, beginning with the door that was used."""
    return f"{project().door} {arguments}".rstrip()


def permission(package: str) -> str:
    """Return how a package is allowed, as it is typed here."""
    once = f"{ALLOW_VARIABLE}={package} {project().door} ..."
    file = project().file
    return f'{once}, or for good: allow = ["{package}"] below [tool.gridstorm] in {shown_path(file)}' if file else once


def how_to_install(package: str) -> str:
    """Return what is to be done about a package that cannot be found: the project's own is installed with it."""
    file = project().file
    if file and any((file.parent / place / package).is_dir() for place in ("src", ".")):
        return f"Install your project: pip install -e {shlex.quote(shown_path(file.parent))}"
    return "Is it installed, or its folder on PYTHONPATH?"


def shown_path(path: Path) -> str:
    """Return a path as it is typed from the working directory, absolute where it is not below it."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return str(path)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
