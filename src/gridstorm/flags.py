"""Hydra's flags, such as --help and -m: refused in words, and what they say of where configurations are."""

import argparse
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra

from gridstorm.refusal import Problem, Refusal, did_you_mean

FOLDER, NAME = "conf", "config"  # as in train.py's @hydra.main
SHOWS = ("help", "hydra_help", "cfg", "info", "shell_completion")


def read_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse Hydra's flags.

    Raises:
        Refusal: There is no such flag, or they ask for several things at once.
        SystemExit: `--version` was asked for, and printed.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        kind, _, unknown = message.partition("unrecognized arguments: ")
        known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
        problems = [_misplaced(one, known) for one in unknown.split()]
        raise Refusal(problems or [Problem("command line", f"{kind}.", "See python train.py --hydra-help.")])

    parser.error = error  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    asked = [f"--{mode.replace('_', '-')}" for mode in (*SHOWS, "run", "multirun") if getattr(flags, mode)]
    if len(asked) > 1 and "help" not in asked[0]:
        raise Refusal([Problem(" ".join(asked), "Each of these asks for something else.", "Keep one of them.")])
    if flags.resolve and not (flags.cfg or flags.help):
        raise Refusal([Problem("--resolve", "It says how a configuration is printed.", "Add --cfg job.")])
    if flags.experimental_rerun:
        fact, remedy = "A pickled configuration can run any code.", "Use gridstorm rerun DIRECTORY."
        raise Refusal([Problem("--experimental-rerun", fact, remedy)])
    return flags


def _misplaced(text: str, known: Sequence[str]) -> Problem:
    if text.startswith("-"):
        return Problem(text, "There is no such flag.", did_you_mean(text, known))
    return Problem(text, "It stands apart from the other values.", "Write flags first: python train.py -m KEY=VALUE.")


def hydra_for(main: Callable[..., Any], flags: argparse.Namespace) -> Hydra:
    """Return Hydra as `main`, which is decorated with @hydra.main, would make it.

    Raises:
        Refusal: A folder or a file that the flags name is not there.
    """
    path = create_automatic_config_search_path(inspect.getfile(inspect.unwrap(main)), None, flags.config_path or FOLDER)
    if flags.config_dir:
        anchor = SearchPathQuery(provider="schema")
        path.prepend("command-line", f"file://{Path(flags.config_dir).resolve()}", anchor)
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("train", path)
    folders = [Path(source.path) for source in hydra.config_loader.get_sources() if source.scheme() == "file"]
    for flag, folder in (("--config-path", folders[0]), ("--config-dir", folders[-1])):
        if not folder.is_dir():
            remedy = "Name one that holds groups of choices."
            raise Refusal([Problem(f"{flag} {folder}", "There is no such directory.", remedy)])
    files = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    name = flags.config_name or NAME
    if name.removesuffix(".yaml") not in files and "/" not in name:
        fact = f"There is no {name}.yaml in {folders[0]}."
        raise Refusal([Problem(f"--config-name {name}", fact, did_you_mean(name, files))])
    return hydra
