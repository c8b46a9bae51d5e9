"""What a run is told: its configuration, the part of it that is the recipe, and the recipe's signature."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gridstorm.config.file import digest, named_files, weights_file
from gridstorm.config.limit import component
from gridstorm.target import find, is_a_librarys, targets

# What cannot change a run's numbers, but for rounding; everything else is the recipe, whatever it is called.
OUTSIDE = (
    "name", "output_dir", "resume", "branch", "explain", "find", "monitor_later", "lint", "note", "tags",
    "logger", "threads", "sweep", "sampler", "pruner", "launcher",
)  # fmt: skip
OUTSIDE_DATA = ("pin_memory", "pin_memory_device", "prefetch_factor")
OUTSIDE_TRAINER = (
    "accelerator", "log_every_n_steps", "profiler",
    "enable_progress_bar", "enable_checkpointing", "enable_model_summary",
)  # fmt: skip
ORDER = (
    "data", "task", "model", "loss", "optimizer", "scheduler", "regularization", "metric",
    "seed", "init_from", "freeze", "heal", "monitor", "mode", "trainer", "callbacks", "parent", "horizon",
)  # fmt: skip

# Callbacks that only watch, by where they are defined: those that save, and those that draw a bar.
WATCHING = (
    "gridstorm.callbacks.checkpoint.",
    "gridstorm.callbacks.progress_bar.",
    "pytorch_lightning.callbacks.model_checkpoint.",
    "pytorch_lightning.callbacks.progress.",
)
CONDITIONAL = "_sweep_"  # in a choice: what its own keys can take in a sweep, `{momentum: interval(0.5, 0.99)}`
SHARES = ("overfit_batches", "limit_train_batches", "limit_val_batches", "limit_test_batches", "val_check_interval")


ADDED: tuple[tuple[str, Any], ...] = (
    ("metric", {}), ("metric", None), ("task", "auto"), ("horizon", "keep"), ("parent", None), ("init_from", None),
    ("freeze", []), ("heal", False),
)  # fmt: skip
LATER = ("weight", None)  # of a loss; both are defaults that records of before have not


@dataclass(frozen=True)
class RunConfig:
    """A configuration that was checked, resolved to plain values, and where its values came from.

    Args:
        values: The values.
        overrides: The command line.
        choices: The choice of each group that has one.
        origins: For each dotted key `default`, `choice GROUP=NAME`, `preset NAME` or `command line`.
        written: The keys that were written as interpolations, each with its text, such as `${seed}`.
        objects: A `model` or `data` that Python gave as an object, in the place of what its section describes.
    """

    values: dict[str, Any]
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def recipe(self) -> dict[str, Any]:
        """The part of the configuration that decides the run's numbers."""
        kept = {key: value for key, value in self.values.items() if key not in OUTSIDE and (key, value) not in ADDED}
        callbacks = self.values.get("callbacks") or {}
        return (
            {key: kept[key] for key in ORDER if key in kept}
            | kept
            | {
                "data": _without(self.values["data"], (*OUTSIDE_DATA, *_kept_workers(self.values["data"]))),
                "trainer": _without(self.values["trainer"], OUTSIDE_TRAINER),
                "callbacks": {name: node for name, node in callbacks.items() if not watches(node)},
            }
        )

    @cached_property
    def signature(self) -> str:
        """Twelve hexadecimal digits that name the resolved recipe: equal recipes have equal signatures.

        The content of each file that a callback, or a class of the user's own, is given counts as well; that of data is
        told by their fingerprint.
        """
        recipe = self.recipe
        callbacks = sorted(json.dumps(node, sort_keys=True) for node in recipe["callbacks"].values())  # of any name
        files = named_files([node for key, node in targets({**recipe, "data": None}) if _may_read(key, node)])
        loss = {key: value for key, value in (recipe.get("loss") or {}).items() if (key, value) != LATER}
        if source := recipe.get("init_from"):
            recipe["init_from"] = digest(file) if (file := weights_file(str(source))) else source
        if parent := recipe.get("parent"):
            recipe["parent"] = _without(parent, ("directory",))
        whole = (
            recipe | {"callbacks": callbacks} | ({"loss": loss} if loss else {}) | ({"files": files} if files else {})
        )
        text = _text(whole)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def shapeless(values: Any) -> str | None:
    """Return the section without which nothing can be said of a configuration, None where all of them are there."""
    for name in ("data", "model", "trainer"):
        if not isinstance(values, dict) or not isinstance(values.get(name), dict):
            return name
    callbacks = values.get("callbacks") or {}
    described = isinstance(callbacks, dict) and all(
        isinstance(node, dict) and "_target_" in node for node in callbacks.values()
    )
    return None if described else "callbacks"


def _kept_workers(data: Any) -> tuple[str, ...]:
    """Return the key of workers that live on, where they draw the same: torch seeds a worker only where it starts."""
    return ("persistent_workers",) if isinstance(data, dict) and is_a_librarys(str(data.get("_target_"))) else ()


def default_name(config: RunConfig) -> str:
    """Return `yymmdd-hhmmss-DATA-MODEL`, of the choices' names."""
    choices = [config.choices.get(group, group).rpartition(".")[2] for group in ("data", "model")]  # a class's name
    return component("-".join([now(), *choices]))


def now() -> str:
    """Return the time as `yymmdd-hhmmss`, which sorts and fits TensorBoard's thirteen characters of a trial's name."""
    return time.strftime("%y%m%d-%H%M%S")


def watches(node: Mapping[str, Any]) -> bool:
    """Tell whether a callback only watches a run, so that it is no part of the recipe."""
    target = find(str(node["_target_"]))
    return target is not None and target.path.startswith(WATCHING)


def _may_read(key: str, node: Mapping[str, Any]) -> bool:
    """Tell whether a text in a section may be the name of a file: in callbacks, and in what is no library's."""
    return key.startswith("callbacks.") or not is_a_librarys(str(node["_target_"]))


def _without(node: Any, names: tuple[str, ...]) -> Any:
    return {key: value for key, value in node.items() if key not in names} if isinstance(node, dict) else node


def _text(node: Any) -> str:
    return json.dumps(_canonical(node), sort_keys=True, separators=(",", ":"))


def _canonical(node: Any) -> Any:
    """Write equal values equally: 1.0 as 1, except where 1.0 is a share and 1 is a number of batches.

    What they mean to a class of the user's own is not known.
    """
    if isinstance(node, dict) and not is_a_librarys(str(node.get("_target_", "torch."))):
        return node
    if isinstance(node, dict):
        return {str(key): value if key in SHARES else _canonical(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_canonical(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node
