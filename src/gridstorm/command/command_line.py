"""The front door: a command line is refused in words, or carried out by Hydra."""

import argparse
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gridstorm.command.compose import Composition, compose
from gridstorm.command.hydra import Hydra, get_args_parser, hydra_in
from gridstorm.command.override import FAILURES, OURS, Overrides, words
from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, did_you_mean, exit_on_error, status

FOLDER, NAME = "conf", "config"  # as in train.py's @hydra.main
SHOWS = ("help", "hydra_help", "cfg", "info", "shell_completion")


def read_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse Hydra's flags.

    Raises:
        UserError: There is no such flag, or they ask for several things at once.
        SystemExit: `--version` was asked for, and printed.
    """
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        kind, _, unknown = message.partition("unrecognized arguments: ")
        flags = re.findall(r"--[a-z-]+", parser.format_usage())
        problems = [_misplaced(text, flags) for text in unknown.split()]
        raise UserError(problems or [Problem("command line", f"{kind}.", "See python train.py --hydra-help.")])

    parser.error = error  # type: ignore[method-assign]
    flags = parser.parse_args(arguments)
    asked = [f"--{mode.replace('_', '-')}" for mode in (*SHOWS, "run", "multirun") if getattr(flags, mode)]
    if len(asked) > 1 and "help" not in asked[0]:
        raise UserError([Problem(" ".join(asked), "Each of these asks for something else.", "Keep one of them.")])
    if flags.resolve and not (flags.cfg or flags.help):
        raise UserError([Problem("--resolve", "It says how a configuration is printed.", "Add --cfg job.")])
    if flags.experimental_rerun:
        fact, remedy = "A pickled configuration can run any code.", "Use gridstorm rerun DIRECTORY."
        raise UserError([Problem("--experimental-rerun", fact, remedy)])
    return flags


def _misplaced(text: str, flags: Sequence[str]) -> Problem:
    if text.startswith("-"):
        return Problem(text, "There is no such flag.", did_you_mean(text, flags))
    return Problem(text, "It stands apart from the other values.", "Write flags first: python train.py -m KEY=VALUE.")


def hydra_for(main: Callable[..., Any], flags: argparse.Namespace) -> Hydra:
    """Return Hydra as `main`, which is decorated with @hydra.main, would make it.

    Raises:
        UserError: A folder or a file that the flags name is not there.
    """
    hydra = hydra_in(Path(inspect.getfile(inspect.unwrap(main))), flags, FOLDER)
    folders = [Path(source.path) for source in hydra.config_loader.get_sources() if source.scheme() == "file"]
    for flag, folder in (("--config-path", folders[0]), ("--config-dir", folders[-1])):
        if not folder.is_dir():
            remedy = "Name one that holds groups of choices."
            raise UserError([Problem(f"{flag} {folder}", "There is no such directory.", remedy)])
    files = {file.stem for folder in folders for file in folder.glob("*.yaml")}
    name = flags.config_name or NAME
    if name.removesuffix(".yaml") not in files and "/" not in name:
        fact = f"There is no {name}.yaml in {folders[0]}."
        raise UserError([Problem(f"--config-name {name}", fact, did_you_mean(name, files))])
    return hydra


class Task:
    """What Hydra starts: a function of a run's configuration that returns an exit status, with that configuration."""

    def __init__(self, main: Callable[[RunConfig], Any], composition: Composition) -> None:
        self.main, self.composition = main, composition

    def __call__(self, _: DictConfig) -> Any:
        """Start the run; Hydra's own copy of the configuration is not looked at."""
        with exit_on_error():  # Hydra would say of a refusal that it is an error
            status("Loading PyTorch and Lightning ...")  # takes seconds, in which nothing else is seen
            if code := self.main(self.composition.run):
                sys.exit(code)


def door(main: Callable[..., Any]) -> None:
    """Carry out the command line with Hydra's `main`, after all that is wrong with it was refused.

    Args:
        main: A function of a run's configuration, decorated with `@hydra.main`.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what is raised inside Hydra comes out of it
    with exit_on_error():
        flags = read_flags(sys.argv[1:])
        shows = any(getattr(flags, mode) for mode in SHOWS)
        (_show if shows else _start)(main, flags)


def _start(main: Callable[..., Any], flags: argparse.Namespace) -> None:
    """Start a run or a sweep, composed here and once, where Hydra alone would compose it twice."""
    hydra = hydra_for(main, flags)
    composition = compose(_overrides(hydra, flags))
    whole = composition.whole
    for key, value in OURS.items():
        OmegaConf.update(whole.hydra, key, value, merge=key in ("run", "sweep"))  # these are typed, and merged alone
    hydra.compose_config = lambda **_: whole  # type: ignore[method-assign]
    start = hydra.multirun if flags.multirun or whole.hydra.mode == RunMode.MULTIRUN else hydra.run
    start(flags.config_name or NAME, Task(inspect.unwrap(main), composition), flags.overrides)


def _show(main: Callable[..., Any], flags: argparse.Namespace) -> None:
    """Let Hydra print its help, the configuration or completions; the values are not checked, and nothing is built."""
    try:
        hydra, name = hydra_for(main, flags), flags.config_name or NAME
        config = hydra.compose_config
        # Help would set up the logging that a configuration describes, which can name any code.
        hydra.compose_config = lambda **options: config(**{**options, "with_log_configuration": False})  # type: ignore[method-assign]
        if flags.help or flags.hydra_help:
            (hydra.app_help if flags.help else hydra.hydra_help)(name, get_args_parser(), flags)
        elif flags.cfg:
            hydra.show_cfg(name, flags.overrides, flags.cfg, flags.package, flags.resolve)
        elif flags.info:
            hydra.show_info(flags.info, name, flags.overrides)
        else:
            hydra.shell_completion(name, flags.overrides)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has read enough, such as `| head`; nothing is left to be flushed at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FAILURES as error:
        overrides = _overrides(hydra_for(main, flags), flags)
        overrides.compose()
        raise UserError(overrides.problems or [words("command line", error)]) from error


def _overrides(hydra: Hydra, flags: argparse.Namespace) -> Overrides:
    sweep = flags.multirun or "hydra.mode=MULTIRUN" in flags.overrides
    return Overrides(hydra.config_loader, flags.config_name or NAME, flags.overrides, sweep)
