"""A command line is refused in words, or carried out by Hydra."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gridstorm.command.compose import Composition, compose
from gridstorm.command.door import Door
from gridstorm.command.hydra import Hydra, get_args_parser
from gridstorm.command.origin import presets_last
from gridstorm.command.override import FAILURES, OURS, Overrides, words
from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, did_you_mean, exit_on_error, nobody_reads, status
from gridstorm.lint import Draft, advise
from gridstorm.target import command, entered

TYPED = "python train.py"  # in the help of conf/gridstorm.yaml
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
        raise UserError(problems or [Problem("command line", f"{kind}.", f"See {command('--hydra-help')}.")])

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
    return Problem(text, "It stands apart from the other values.", f"Write flags first: {command('-m KEY=VALUE')}.")


class Task:
    """What Hydra starts: a function of a run's configuration that returns an exit status, with that configuration."""

    def __init__(self, function: Callable[[RunConfig], Any], composition: Composition) -> None:
        self.function, self.composition = function, composition

    def __call__(self, _: DictConfig) -> Any:
        """Start the run; Hydra's own copy of the configuration is not looked at."""
        with exit_on_error():  # Hydra would say of a refusal that it is an error
            advise(Draft(self.composition.run.values))
            status("Loading PyTorch and Lightning ...")  # takes seconds, in which nothing else is seen
            code = self.function(self.composition.run)
            if type(code) is int and code:
                sys.exit(code)


def carry_out(door: Door, arguments: Sequence[str]) -> None:
    """Carry out a command line with Hydra, after all that is wrong with it was refused."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what is raised inside Hydra comes out of it
    with exit_on_error(), entered(door.project):
        flags = read_flags(arguments)
        shows = any(getattr(flags, mode) for mode in SHOWS)
        (_show if shows else _start)(door, flags)


def _start(door: Door, flags: argparse.Namespace) -> None:
    """Start a run or a sweep, composed here and once, where Hydra alone would compose it twice."""
    hydra = door.hydra(flags)
    composition = compose(_overrides(hydra, door, flags))
    whole = composition.whole
    for key, value in OURS.items():
        OmegaConf.update(whole.hydra, key, value, merge=key in ("run", "sweep"))  # these are typed, and merged alone
    hydra.compose_config = lambda **_: whole  # type: ignore[method-assign]
    start = hydra.multirun if flags.multirun or whole.hydra.mode == RunMode.MULTIRUN else hydra.run
    start(flags.config_name or door.name, Task(door.function, composition), flags.overrides)


def _show(door: Door, flags: argparse.Namespace) -> None:
    """Let Hydra print its help, the configuration or completions; the values are not checked, and nothing is built."""
    try:
        hydra, name = door.hydra(flags), flags.config_name or door.name
        hydra.compose_config = partial(_shown, hydra.compose_config)  # type: ignore[method-assign]
        if flags.help or flags.hydra_help:
            (hydra.app_help if flags.help else hydra.hydra_help)(name, get_args_parser(), flags)
        elif flags.cfg:
            hydra.show_cfg(name, flags.overrides, flags.cfg, flags.package, flags.resolve)
        elif flags.info:
            hydra.show_info(flags.info, name, flags.overrides)
        else:
            hydra.shell_completion(name, flags.overrides)
        sys.stdout.flush()
    except BrokenPipeError:
        nobody_reads()
    except FAILURES as error:
        overrides = _overrides(door.hydra(flags), door, flags)
        overrides.compose()
        raise UserError(overrides.problems or [words("command line", error)]) from error


def _shown(compose_config: Callable[..., DictConfig], **options: Any) -> DictConfig:
    """Compose what is shown: without setting up its logging, which can name any code, and its help as it is typed."""
    quiet = {**options, "with_log_configuration": False}
    whole = presets_last(lambda texts: compose_config(**{**quiet, "overrides": texts}), options["overrides"])
    whole.hydra.help.template = whole.hydra.help.template.replace(TYPED, command(""))
    return whole


def _overrides(hydra: Hydra, door: Door, flags: argparse.Namespace) -> Overrides:
    sweep = flags.multirun or "hydra.mode=MULTIRUN" in flags.overrides
    return Overrides(hydra.config_loader, flags.config_name or door.name, flags.overrides, sweep)
