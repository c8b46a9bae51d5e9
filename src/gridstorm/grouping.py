"""Which runs can be trained as one: those that differ only in numbers that change no shape and no order of work.

This is what is known before anything is built; whether a network runs in a stack is tried by `gridstorm.fused`.
"""

import json
from typing import Any

from gridstorm.recipe import Composed
from gridstorm.target import find

# Each of their steps treats every weight by itself, so that the weights of all layers can stand in one row.
ELEMENTWISE = (
    "Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD",
)  # fmt: skip
FREE = ("optimizer", "scheduler", "early_stopping")  # sections in which every number may differ
FREE_NAMES = ("label_smoothing", "seed", "l1")  # and elsewhere the numbers with such a last name, or one with `dropout`
CHECKPOINT = "gridstorm.callbacks.checkpoint.Checkpoint"
PROGRESS_BAR = "gridstorm.callbacks.progress_bar.ProgressBar"
EARLY_STOPPING = "pytorch_lightning.callbacks.early_stopping.EarlyStopping"
CALLBACKS = (CHECKPOINT, PROGRESS_BAR, EARLY_STOPPING)
# What a group leaves to Lightning's defaults, with the values that mean them.
TRAINER: dict[str, tuple[Any, ...]] = {
    "strategy": ("auto",),
    "devices": (1, "1", "auto"),
    "num_nodes": (1,),
    "precision": ("32-true", "32", 32, "64-true", "64", 64),
    "max_time": (),
    "val_check_interval": (1.0,),
    "num_sanity_val_steps": (0,),
    "fast_dev_run": (False,),
    "reload_dataloaders_every_n_epochs": (0,),
    "plugins": (),
}


def key(composed: Composed) -> str:
    """Return what runs must have in common to be trained as one: equal texts can be one group."""
    common = composed.recipe | {name: composed.config[name] for name in ("trainer", "threads")}
    callbacks = {name: node for name, node in _callbacks(composed).items() if _path(node) != PROGRESS_BAR}
    stopping = {name: node for name, node in callbacks.items() if _path(node) == EARLY_STOPPING}
    rest = {name: node for name, node in callbacks.items() if name not in stopping}
    common |= {"callbacks": rest, "early_stopping": stopping}
    return json.dumps({name: _without(node, name, name in FREE) for name, node in common.items()}, sort_keys=True)


def why_not(composed: Composed) -> str | None:
    """Return why a run trains alone, as far as its configuration says; None if nothing speaks against a group."""
    config = composed.config
    optimizer = find(str(config["optimizer"]["_target_"]))
    if optimizer is None or not optimizer.path.startswith("torch.optim.") or optimizer.name not in ELEMENTWISE:
        name = _path(config["optimizer"]).rpartition(".")[2]
        return f"the steps of {name} are not known to treat every weight by itself"
    for name, known in TRAINER.items():
        value = config["trainer"].get(name)
        if value is not None and value not in known:
            return f"trainer.{name}={value} is for runs alone"
    for name, node in _callbacks(composed).items():
        if _path(node) not in CALLBACKS:
            return f"callbacks.{name} watches one run"
    return "logger watches one run" if config["logger"] else None


def _callbacks(composed: Composed) -> dict[str, Any]:
    return composed.config["callbacks"] or {}


def _path(node: dict[str, Any]) -> str:
    """Return where a target is defined, by whatever path it is named."""
    target = find(str(node["_target_"]))
    return target.path if target else str(node["_target_"])


def _without(node: Any, name: str, free: bool) -> Any:
    """Return a configuration in which the numbers that may differ are all the same."""
    if isinstance(node, dict):
        return {key: _without(value, str(key), free) for key, value in node.items()}
    if isinstance(node, list):
        return [_without(value, name, free) for value in node]
    number = isinstance(node, int | float) and not isinstance(node, bool)
    return "a number" if number and (free or name in FREE_NAMES or "dropout" in name) else node
