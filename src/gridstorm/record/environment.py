"""What a run's numbers may depend on beside its recipe: code, data, versions, machine."""

import ast
import hashlib
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridstorm.target import find, is_a_librarys, own_modules, project, remembered, source_file, source_text, targets

VERSIONS = (
    "gridstorm",
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scikit-learn",
    "tensorboard",
)
TRAINING = ("module", "objects", "run", "fusion")  # the packages of ours that decide numbers


def environment(device: str, made_by: Mapping[str, str]) -> dict[str, Any]:
    """Return what a run's numbers may depend on beside its recipe.

    Args:
        device: What trains, such as `cpu` or a GPU's name.
        made_by: Names of the `code`, the `data` and the build of `torch`.
    """
    return {
        "started": time.time(),
        "commit": _git("rev-parse", "HEAD"),
        "python": platform.python_version(),
        "versions": _versions() | {"torch": made_by["torch"]},
        "host": platform.node(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "device": device,
        "data": made_by["data"],
        "made_by": {**made_by},
    }


def code(recipe: Mapping[str, Any]) -> str:
    """Return twelve hexadecimal digits that name the sources of all that a recipe builds, libraries left out.

    Of Gridstorm these are the files of what trains, and of each choice its own file, those of its bases and those that
    its family shares; of a user's own code the modules that the targets import, where a comment does not count.
    """
    paths = [str(node["_target_"]) for _, node in targets(recipe)]
    modules = {owner.module for target in map(find, paths) if target for owner in target.ancestry()}
    paths += [str(node["_object_"]) for _, node in targets(recipe) if "_object_" in node]
    modules |= {path.rpartition(".")[0] for path in paths if not is_a_librarys(path)}  # which building imports too
    return _digest(frozenset(modules))


@remembered
def _digest(modules: frozenset[str]) -> str:
    sha = hashlib.sha256()
    home = Path(__file__).parents[1]
    ours = {path for package in TRAINING for path in (home / package).glob("*.py")}
    for path in sorted(ours.union(*map(_of_a_choice, modules))):
        sha.update(path.read_bytes())
    for module in sorted(own_modules(modules)):
        sha.update(f"{module}\n{_without_comments(source_file(module))}\n".encode(errors="replace"))
    return sha.hexdigest()[:12]


def _of_a_choice(module: str) -> Iterator[Path]:
    path = source_file(module)
    if path is not None and module.startswith("gridstorm."):
        yield from [path, *path.parent.glob("_*.py")]


def _without_comments(file: Path | None) -> str:
    """Return a module's source as its syntax tree has it, so that comments and the breaks of lines do not count."""
    text = source_text(file) if file else ""
    try:
        return ast.unparse(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError):
        return text


def uncommitted() -> str:
    """Return the difference between the code and its last commit, empty outside a repository."""
    return _git("diff", "HEAD") or ""


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}


def _git(*arguments: str) -> str | None:
    """Ask git of the project at work, or of Gridstorm's own clone where there is none."""
    file = project().file
    return _asked(file.parent if file else Path(__file__).parent, *arguments)


@cache
def _asked(place: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=place, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip("\n")
