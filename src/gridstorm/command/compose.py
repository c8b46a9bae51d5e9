"""What a command line composes to, checked: the configuration of a run."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gridstorm.command.origin import folders, origins
from gridstorm.command.override import Overrides, of_hydra
from gridstorm.command.preset import PRESETS
from gridstorm.config import (
    CONDITIONAL,
    GROUPS,
    MAPPINGS,
    NOT_A_SWEEP,
    OBJECT,
    OF_MODULES,
    OF_SWEEPS,
    RunConfig,
    as_written,
    check_values,
    copies,
    interpolated,
    leaves,
    left_out,
    of_runs,
    plainly_written,
    resolved,
    told_once,
)
from gridstorm.error import Problem, UserError
from gridstorm.record import parent_of
from gridstorm.target import shown


@dataclass
class Composition:
    """One choice of groups, composed by Hydra and checked; other values can be set on copies of it.

    Args:
        whole: What Hydra composed, its own node included.
        run: The configuration of a run.
    """

    whole: DictConfig
    run: RunConfig

    @cached_property
    def unresolved(self) -> DictConfig:
        """What Hydra composed, without its own node."""
        return without_hydra(self.whole)

    @cached_property
    def copied(self) -> dict[str, str]:
        """The keys that are written `${other.key}`, each with that other key."""
        return copies(self.unresolved)

    @cached_property
    def simple(self) -> bool:
        """Whether every interpolation is a copy of one other key."""
        return plainly_written(self.unresolved, self.copied)

    def at(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration with other values of some keys.

        Raises:
            UserError: Something is wrong with it.
        """
        copied = self.simple and not any("${" in str(value) for value in values.values())
        plain = self._set(values) if copied else None
        if plain is None:
            changed = deepcopy(self.unresolved)
            for key, value in values.items():
                OmegaConf.update(changed, key, value)
            return replace(checked(changed, self.whole.hydra), overrides=self.run.overrides)
        if problems := check_values(plain, folders(self.whole.hydra)):
            raise UserError(told_once(problems, self.copied))
        written = {key: text for key, text in self.run.written.items() if key not in values}
        return replace(self.run, values=plain, written=written)

    def _set(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the plain configuration with `values` and what copies them; None where a section is among them."""
        plain = self.run.values
        inside = [key for key in values for other in self.copied.values() if key.startswith(f"{other}.")]
        if inside:  # of a section that stands in two places
            return None
        for key, value in values.items():
            copies = [copy for copy, other in self.copied.items() if other == key and copy not in values]
            for place in (key, *copies):  # a copy that has a value of its own follows no other key any more
                changed = _with(plain, place.split("."), value)
                if changed is None or isinstance(value, dict):
                    return None
                plain = changed
        return plain


def _with(node: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any] | None:
    """Return a copy of `node` with another value at `path`; None where a section, or nothing, stands there."""
    first, *rest = path
    if not isinstance(node, dict) or first not in node or (not rest and isinstance(node[first], dict)):
        return None
    inner = _with(node[first], rest, value) if rest else value
    return None if rest and inner is None else {**node, first: inner}


def compose(overrides: Overrides, objects: Mapping[str, dict[str, Any]] | None = None) -> Composition:
    """Return what overrides compose to, checked once; of a sweep, its first corner, and all others checked.

    Args:
        overrides: Of a command line.
        objects: Sections that stand for what Python gives as objects, in the place of those that are composed.

    Raises:
        UserError: An override is wrong, or a value of what they compose to; every problem is in it.
    """
    whole = overrides.compose()
    problems, first = list(overrides.problems), dict[str, Any]()
    if whole is not None and not {"seed", "monitor"} & {*whole}:
        fact = f"{overrides.config_name}.yaml has nothing of what every run needs, such as a trainer."
        problems.append(Problem("configuration", fact, "Begin its list of defaults with gridstorm, the base."))
    elif whole is not None:
        for name, section in (objects or {}).items():
            kept = of_runs(name, as_written(whole)[name] or {})
            OmegaConf.update(whole, name, {**kept, **section}, merge=False, force_add=True)
        with _known_to_hydra(whole):
            for corner in overrides.corners(whole):
                plain, wrong = _checked(without_hydra(corner), corner.hydra, overrides.unknown)
                first, problems = first or plain, problems + [one for one in wrong if one.path not in (objects or {})]
            problems += _of_a_sweep(first, whole) if not overrides.sweep and _has_preset(whole.hydra) else []
            problems += of_hydra(overrides.loader, whole.hydra)
            if not problems:
                return Composition(whole, _run(first, without_hydra(whole), whole.hydra))
    raise UserError(problems)


def _has_preset(hydra: DictConfig) -> bool:
    """Tell whether a preset is chosen, without which nothing need be asked of where values come from."""
    return PRESETS in _choices(hydra) or any(text.lstrip("+").startswith(f"{PRESETS}=") for text in _given(hydra))


def _of_a_sweep(plain: Mapping[str, Any], whole: DictConfig) -> list[Problem]:
    """Return what a preset sets that only a sweep reads: one run would ignore it."""
    origins = _origins(plain, without_hydra(whole), whole.hydra)
    values = {key: value for key, value in leaves(plain) if re.split("[./]", key)[0] in OF_SWEEPS}
    keys = [key for key in values if origins.get(key, "").startswith("preset") and not key.endswith("_partial_")]
    return [Problem(f"{key}={shown(values[key])} ({origins[key]})", NOT_A_SWEEP, "Add -m.") for key in keys[:1]]


def checked(config: DictConfig, hydra: DictConfig) -> RunConfig:
    """Check a configuration that Hydra composed.

    Args:
        config: The configuration, without Hydra's own node.
        hydra: Hydra's node.

    Raises:
        UserError: Something is wrong with the configuration; every problem is in it.
    """
    plain, problems = _checked(config, hydra)
    if problems:
        raise UserError(problems)
    return _run(plain, config, hydra)


def _run(plain: dict[str, Any], config: DictConfig, hydra: DictConfig) -> RunConfig:
    for section in plain.values():
        if isinstance(section, dict):
            section.pop(CONDITIONAL, None)  # what a sweep may vary is no argument
    for group in MAPPINGS:
        if group in plain:
            named = (plain[group] or {}).items()
            plain[group] = {name: node for name, node in named if node is not None}  # null is Hydra's "off"
    if plain.get("branch"):
        plain["parent"] = _parent(plain)
    chosen = {group: choice for group, choice in _choices(hydra).items() if group in plain or group not in OF_MODULES}
    return RunConfig(plain, _given(hydra), chosen, _origins(plain, config, hydra), interpolated(config))


def _parent(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a branch begins from.

    Raises:
        UserError: It is not there, or nothing is left to be trained.
    """
    parent, epochs = parent_of(str(plain["branch"])), plain["trainer"].get("max_epochs")
    if isinstance(epochs, int) and 0 <= epochs <= parent["epoch"]:
        fact = f"The branch begins after epoch {parent['epoch']}, and nothing is left to be trained."
        raise UserError([Problem(f"trainer.max_epochs={epochs}", fact, "Give more, or begin from an earlier epoch.")])
    return parent


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
    problems += _of_no_use(plain, config, hydra)
    if plain.get("parent"):
        remedy = "Write resume=RUN trainer.max_epochs=N to train a run longer."
        problems.append(Problem("parent", "The run sets this itself.", remedy))
    origins = _origins(plain, config, hydra) if problems else {}
    return plain, [replace(problem, key=f"{problem.key}{_place(problem, origins)}") for problem in problems]


def _of_no_use(plain: Mapping[str, Any], config: DictConfig, hydra: DictConfig) -> list[Problem]:
    """Return what sets a section that the model, a whole LightningModule, does not take: it would be ignored."""
    sections = {name: as_written(config).get(name) for name in left_out(plain)}
    return ignored(plain["model"], _origins(sections, config, hydra)) if sections else []


def ignored(model: Mapping[str, Any], origins: Mapping[str, str]) -> list[Problem]:
    """Return the problems of what was set in sections that a LightningModule does not take."""
    set_there = {key: origin for key, origin in origins.items() if origin != "default"}
    first = {key.partition(".")[0]: (key, origin) for key, origin in reversed(set_there.items())}
    name = str(model.get(OBJECT) or model["_target_"]).rpartition(".")[2]
    return [
        Problem(
            origin.removeprefix("choice ") if origin.startswith("choice") else key,
            f"{name} is a LightningModule that takes no {section}.",
            "Leave it out, or let its class take it.",
        )
        for section, (key, origin) in first.items()
    ]


def _place(problem: Problem, origins: Mapping[str, str]) -> str:
    """Return ` (preset NAME)` or ` (choice GROUP=NAME)` for what stands there."""
    if "=" in problem.key:
        origin = origins.get(problem.path, "")
        return f" ({origin})" if origin.startswith(("preset", "choice")) else ""
    inside = [origin for key, origin in origins.items() if f"{key}.".startswith(f"{problem.path}.")]
    return f" ({inside[0]})" if inside and inside[0].startswith("preset") else ""


def _choices(hydra: DictConfig) -> dict[str, str]:
    chosen = {group: hydra.runtime.choices.get(group) for group in GROUPS}
    return {group: str(choice) for group, choice in chosen.items() if choice}


def _origins(plain: Mapping[str, Any], config: DictConfig, hydra: DictConfig) -> dict[str, str]:
    return origins(plain, copies(config), _given(hydra), _choices(hydra), folders(hydra))


def _given(hydra: DictConfig) -> list[str]:
    return OmegaConf.to_container(hydra.overrides.task, resolve=False)  # type: ignore[return-value]  # a list of texts
