"""The front door: a command line is composed, checked, and refused in words or carried out by Hydra."""

import argparse
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gridstorm.check import check_values, resolved, told_once
from gridstorm.flags import NAME, SHOWS, hydra_for, read_flags
from gridstorm.origin import origins
from gridstorm.overrides import FAILURES, GROUPS, OURS, Overrides, folders, of_hydra, words
from gridstorm.recipe import CONDITIONAL, Composed
from gridstorm.refusal import Problem, Refusal, plainly
from gridstorm.resolve import copies, interpolated, leaves, no_data

__all__ = ["Composed", "Overrides", "accept", "compose", "door", "leaves", "plainly", "recheck", "without_hydra"]

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
    node: Any = HydraConfig.get() if hydra is None else hydra
    plain, problems = _checked(config, node)
    if problems:
        raise Refusal(problems)
    for section in plain.values():
        if isinstance(section, dict):
            section.pop(CONDITIONAL, None)  # what a sweep may vary is no argument
    return Composed(plain, _given(node), _choices(node), _origins(plain, config, node), interpolated(config))


def recheck(composed: Composed) -> Composed:
    """Return a configuration that was read from a record, after it was checked as if it came from someone else.

    Raises:
        Refusal: Something is wrong with it; every problem is in it.
    """
    if problems := no_data(composed.config) or told_once(check_values(composed.config), {}):
        raise Refusal(problems)
    return composed


def compose(overrides: Overrides) -> DictConfig:
    """Return what overrides compose to, Hydra's node included; of a sweep, its first cell.

    Raises:
        Refusal: An override is wrong, or a value of what they compose to; every problem is in it.
    """
    config = overrides.compose()
    problems = list(overrides.problems)
    if config is not None:
        with _known_to_hydra(config):
            for cell in overrides.cells(config):
                problems += _checked(without_hydra(cell), cell.hydra, overrides.unknown)[1]
            problems += of_hydra(overrides.loader, config.hydra)
    if problems or config is None:
        raise Refusal(problems)
    return config


@contextmanager
def _known_to_hydra(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` be resolved, as it will be in the run."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    OmegaConf.set_readonly(config.hydra, None)  # None takes the flag away
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a composed configuration without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _checked(
    config: DictConfig, hydra: DictConfig, unknown: Collection[str] = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Return a configuration's plain values and what is wrong with them, saying of a preset's or a choice's whose."""
    plain, problems = resolved(config, folders(hydra), unknown)
    known = _origins(plain, config, hydra) if problems else {}
    return plain, [replace(one, key=f"{one.key}{_place(one, known)}") for one in problems]


def _place(problem: Problem, known: Mapping[str, str]) -> str:
    """Return ` (preset NAME)` or ` (choice GROUP=NAME)` for what stands there."""
    if "=" in problem.key:
        origin = known.get(problem.path, "")
        return f" ({origin})" if origin.startswith(("preset", "choice")) else ""
    inside = [origin for key, origin in known.items() if f"{key}.".startswith(f"{problem.path}.")]
    return f" ({inside[0]})" if inside and inside[0].startswith("preset") else ""


def _choices(hydra: DictConfig) -> dict[str, str]:
    chosen = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    return {group: str(choice) for group, choice in chosen.items() if choice}


def _origins(plain: Mapping[str, Any], config: DictConfig, hydra: DictConfig) -> dict[str, str]:
    return origins(plain, copies(config), _given(hydra), _choices(hydra), folders(hydra))


def _given(hydra: DictConfig) -> list[str]:
    return OmegaConf.to_container(hydra.overrides.task, resolve=False)  # type: ignore[return-value]  # a list of texts


def door(main: Callable[..., Any]) -> None:
    """Carry out the command line with Hydra's `main`, after all that is wrong with it was refused."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what is raised inside Hydra comes out of it
    with plainly():
        flags = read_flags(sys.argv[1:])
        shows = any(getattr(flags, mode) for mode in SHOWS)
        (_show if shows else _start)(main, flags)


def _start(main: Callable[..., Any], flags: argparse.Namespace) -> None:
    """Start a run or a sweep, composed here and once, where Hydra alone would compose it twice."""
    hydra = hydra_for(main, flags)
    config = compose(_overrides(hydra, flags))
    for key, value in OURS.items():
        OmegaConf.update(config.hydra, key, value, merge=key in ("run", "sweep"))  # these are typed, and merged alone
    hydra.compose_config = lambda **_: config  # type: ignore[method-assign]
    start = hydra.multirun if flags.multirun or config.hydra.mode == RunMode.MULTIRUN else hydra.run
    start(flags.config_name or NAME, inspect.unwrap(main), flags.overrides)


def _show(main: Callable[..., Any], flags: argparse.Namespace) -> None:
    """Let Hydra print its help, the configuration or completions; the values are not checked, and nothing is built."""
    try:
        hydra, name = hydra_for(main, flags), flags.config_name or NAME
        composed = hydra.compose_config
        # Help would set up the logging that a configuration describes, which can name any code.
        hydra.compose_config = lambda **given: composed(**{**given, "with_log_configuration": False})  # type: ignore[method-assign]
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
        raise Refusal(overrides.problems or [words("command line", error)]) from error


def _overrides(hydra: Hydra, flags: argparse.Namespace) -> Overrides:
    sweep = flags.multirun or "hydra.mode=MULTIRUN" in flags.overrides
    return Overrides(hydra.config_loader, flags.config_name or NAME, flags.overrides, sweep)
