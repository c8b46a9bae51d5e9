"""What a command line composes to, checked: the configuration of a run."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gridstorm.config.check import check_values, resolved, told_once
from gridstorm.config.group import GROUPS
from gridstorm.config.origin import origins
from gridstorm.config.override import Overrides, folders, of_hydra
from gridstorm.config.recipe import CONDITIONAL, Composed
from gridstorm.config.resolve import copies, interpolated, no_data
from gridstorm.error import Problem, Refusal

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
