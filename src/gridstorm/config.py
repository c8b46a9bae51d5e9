"""The front door: a command line is composed, checked, and refused in words or carried out by Hydra."""

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.check import check
from gridstorm.origin import leaves, origins
from gridstorm.overrides import GROUPS, Overrides, folders, words
from gridstorm.recipe import Composed
from gridstorm.refusal import Problem, Refusal, did_you_mean
from gridstorm.resolve import copies, resolve

__all__ = ["Composed", "Overrides", "accept", "compose", "door", "explain", "leaves", "plainly", "without_hydra"]

FOLDER, NAME = "conf", "config"  # as in train.py's @hydra.main
MODES = ("help", "hydra_help", "run", "multirun", "cfg", "info", "shell_completion")

# Hydra deep-copies its store of built-in configurations for each group that it lists, half of the time of --help,
# though nothing writes to the copy: let the store be its own copy.
_STORE = ConfigStore.instance()
_STORE.__dict__["__deepcopy__"] = lambda memo: _STORE


def accept(config: DictConfig, hydra: DictConfig | None = None) -> Composed:
    """Check a configuration that Hydra composed.

    Args:
        config: The configuration, without Hydra's own node.
        hydra: Hydra's node; None takes that of the running application.

    Raises:
        Refusal: Something is wrong with the configuration; every problem is in it.
    """
    hydra = HydraConfig.get() if hydra is None else hydra
    if problems := _problems(config, hydra):
        raise Refusal(problems)
    plain, _ = resolve(config)
    return Composed(plain, list(hydra.overrides.task), _choices(hydra), _origins(config, hydra))


def compose(overrides: Overrides) -> DictConfig:
    """Return what overrides compose to, Hydra's node included; of a sweep, its first cell.

    Raises:
        Refusal: An override is wrong, or a value of what they compose to; every problem is in it.
    """
    config = overrides.compose()
    problems = list(overrides.problems)
    for cell in overrides.cells(config) if config else ():
        problems += _problems(without_hydra(cell), cell.hydra, overrides.unknown)
    if problems or config is None:
        raise Refusal(problems)
    return config


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a composed configuration without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _problems(config: DictConfig, hydra: DictConfig, unknown: Collection[str] = ()) -> list[Problem]:
    """Return what is wrong with a configuration, and say of a preset's value or a choice's that it is theirs."""
    problems = check(config, folders(hydra), unknown)
    known = _origins(config, hydra) if problems else {}
    elsewhere = {key: origin for key, origin in known.items() if origin not in ("default", "command line")}
    return [
        replace(one, key=f"{one.key} ({elsewhere[one.path]})") if "=" in one.key and one.path in elsewhere else one
        for one in problems
    ]


def _choices(hydra: DictConfig) -> dict[str, str]:
    chosen = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    return {group: str(choice) for group, choice in chosen.items() if choice}


def _origins(config: DictConfig, hydra: DictConfig) -> dict[str, str]:
    return origins(resolve(config)[0], copies(config), list(hydra.overrides.task), _choices(hydra), folders(hydra))


@contextmanager
def plainly() -> Iterator[None]:
    """Say a refusal in words and end with exit status 2; a traceback is for our own mistakes."""
    try:
        yield
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)


def door(main: Callable[..., Any]) -> None:
    """Carry out the command line with Hydra's `main`, after all that is wrong with it was refused.

    A run is composed here, once: Hydra alone composes it twice, and stops at the first problem.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what is raised inside Hydra comes out of it
    with plainly():
        flags = _flags(sys.argv[1:])
        asked = [mode for mode in MODES if getattr(flags, mode)]
        hydra, name = _hydra(main, flags), flags.config_name or NAME
        sweep = flags.multirun or "hydra.mode=MULTIRUN" in flags.overrides
        overrides = Overrides(hydra.config_loader, name, flags.overrides, sweep)
        if asked and asked[0] not in ("run", "multirun"):
            _show(main, overrides)
            return
        config = compose(overrides)
        if flags.multirun or config.hydra.mode == RunMode.MULTIRUN:
            GlobalHydra.instance().clear()
            main()
        else:
            hydra.compose_config = lambda **_: config  # type: ignore[method-assign]
            hydra.run(name, inspect.unwrap(main), flags.overrides)


def _show(main: Callable[..., Any], overrides: Overrides) -> None:
    """Let Hydra print its help, the configuration or completions; values are not checked."""
    GlobalHydra.instance().clear()
    try:
        main()
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        overrides.compose()
        raise Refusal(overrides.problems or [words("command line", error)]) from error


def _hydra(main: Callable[..., Any], flags: argparse.Namespace) -> Hydra:
    """Return Hydra as `main` would make it."""
    path = create_automatic_config_search_path(inspect.getfile(inspect.unwrap(main)), None, flags.config_path or FOLDER)
    if flags.config_dir:
        anchor = SearchPathQuery(provider="schema")
        path.prepend("command-line", f"file://{Path(flags.config_dir).resolve()}", anchor)
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", path)
    folders = [Path(source.path) for source in hydra.config_loader.get_sources() if source.scheme() == "file"]
    for flag, folder in (("--config-path", folders[0]), ("--config-dir", folders[-1])):
        if not folder.is_dir():
            raise Refusal(
                [Problem(f"{flag} {folder}", "There is no such directory.", "Name one that holds groups of choices.")]
            )
    files = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    name = flags.config_name or NAME
    if name.removesuffix(".yaml") not in files and "/" not in name:
        raise Refusal(
            [Problem(f"--config-name {name}", f"There is no {name}.yaml in {folders[0]}.", did_you_mean(name, files))]
        )
    return hydra


def _flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse Hydra's flags; what is wrong with them is refused in words."""
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        kind, _, unknown = message.partition("unrecognized arguments: ")
        known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
        problems = [_misplaced(one, known) for one in unknown.split()]
        raise Refusal(problems or [Problem("command line", f"{kind}.", "See python train.py --hydra-help.")])

    parser.error = error  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    asked = [f"--{mode.replace('_', '-')}" for mode in MODES if getattr(flags, mode)]
    if len(asked) > 1:
        raise Refusal([Problem(" ".join(asked), "Each of these asks for something else.", "Keep one of them.")])
    if flags.experimental_rerun:
        fact, remedy = "A pickled configuration can run any code.", "Use gridstorm rerun DIRECTORY."
        raise Refusal([Problem("--experimental-rerun", fact, remedy)])
    return flags


def _misplaced(text: str, known: Sequence[str]) -> Problem:
    if text.startswith("-"):
        return Problem(text, "There is no such flag.", did_you_mean(text, known))
    return Problem(text, "It stands apart from the other values.", "Write flags first: python train.py -m KEY=VALUE.")
