"""Which runs of a sweep are trained together, as one stacked model, and why others are not."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridstorm.config import RunConfig, is_module
from gridstorm.record import Trial, TrialRun
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
    "profiler": (),
}
Queued = tuple[Trial, TrialRun]
PAYS = 1.2  # times less time, below which runs are trained apart
SAMPLE = 16  # runs of a group that are tried
SHARE = 0.5  # of the free memory that groups may take
WORTH = 100  # epochs of all runs of a group, below which it takes longer to find out whether it pays


@dataclass
class Fusing:
    """Groups of runs that differ in numbers alone.

    Args:
        setting: `auto`: where it was measured to pay; a number: at most so many; 1: each run alone.
        horizon: How many runs are looked at for the next group.
        unseen: How many runs are trained together at most of which nothing was known before.
        sizes: By the key of a group, how many of its runs are trained together at most.
        gains: By the key of a group, how many times less time its runs take together.
        reasons: For each reason not to train runs together, how many have it.
    """

    setting: str | int = 1
    horizon: int = 1
    unseen: int = 1
    sizes: dict[str, int] = field(default_factory=dict)
    gains: dict[str, float] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def look(
        self, runs: Sequence[TrialRun], sharing: int, tried: Callable[[Sequence[list[RunConfig]], bool], list[Any]]
    ) -> None:
        """Find out which of these runs can be trained together, and whether it pays.

        Args:
            runs: What is to be trained.
            sharing: How many jobs share one memory.
            tried: Returns for each group of configurations, measured or not, what `tryout.time_group` says of it.
        """
        groups: dict[str, list[TrialRun]] = {}
        for run in runs:
            if reason := why_not(run.config):
                self.reasons[reason] += 1
            else:
                groups.setdefault(self.key(run), []).append(run)
        single = [name for name, members in groups.items() if len(members) == 1]
        short = [name for name, members in groups.items() if name not in single and not self._worth(members)]
        self.reasons["no other run differs in numbers alone"] += len(single)
        self.reasons["too few and too short to be worth measuring"] += sum(len(groups[n]) for n in short)
        several = {name: members for name, members in groups.items() if name not in (*single, *short)}
        asked = [[run.config for run in members[:SAMPLE]] for members in several.values()]
        for (name, members), answer in zip(several.items(), tried(asked, self.setting == "auto"), strict=True):
            if answer["why"] or (self.setting == "auto" and answer["gain"] < PAYS):
                self.reasons[answer["why"] or f"it was measured not to pay ({answer['gain']:.2g} times)"] += len(
                    members
                )
                continue
            room = int(SHARE * answer["free"] / sharing / answer["bytes"])
            most = len(members) if self.setting == "auto" else int(self.setting)
            self.sizes[name], self.gains[name] = max(1, min(room, most)), answer["gain"]
        self.horizon = len(runs) if self.sizes else 1

    def _worth(self, members: Sequence[TrialRun]) -> bool:
        epochs = sum(int(run.config.values["trainer"]["max_epochs"] or 1) for run in members)
        return self.setting != "auto" or epochs >= WORTH

    def group(self, waiting: Sequence[Queued], places: int, busy: int = 0) -> list[Queued]:
        """Return the next runs to be trained together: the first one that waits, and those like it.

        Args:
            waiting: What is to be trained.
            places: How many jobs run at a time. A group has at most a place's share, so that every place has work.
            busy: How many runs are in training already.
        """
        if not waiting:
            return []
        name = self.key(waiting[0][1]) if self.horizon > 1 else ""
        most = self.sizes.get(name, self.unseen)
        if most == 1 or not name or why_not(waiting[0][1].config):
            return [waiting[0]]
        alike = [pair for pair in waiting if self.key(pair[1]) == name]
        return alike[: min(most, math.ceil((len(waiting) + busy) / places))]

    @staticmethod
    def key(run: TrialRun) -> str:
        """Return what runs have in common that can be one group; those at another epoch are another one."""
        rows = run.record.rows() if run.record and run.record.begun else []
        return f"{rows[-1]['epoch'] if rows else 0} {key(run.config)}"

    def __str__(self) -> str:
        """Return in a line for each what is trained together, and what is not and why."""
        measured = self.gains if self.setting == "auto" else {}
        lines = [
            f"trained together, at most {size}" + (f": {measured[name]:.2g} times faster" if name in measured else "")
            for name, size in self.sizes.items()
        ]
        lines += [f"trained apart, {count}: {reason}" for reason, count in self.reasons.items() if count]
        return "\n".join(lines)


def key(config: RunConfig) -> str:
    """Return what runs must have in common to be trained as one: equal texts can be one group."""
    common = config.recipe | {name: config.values[name] for name in ("trainer", "threads")}
    callbacks = {name: node for name, node in _callbacks(config).items() if _path(node) != PROGRESS_BAR}
    stopping = {name: node for name, node in callbacks.items() if _path(node) == EARLY_STOPPING}
    rest = {name: node for name, node in callbacks.items() if name not in stopping}
    common |= {"callbacks": rest, "early_stopping": stopping}
    return json.dumps({name: _without(node, name, name in FREE) for name, node in common.items()}, sort_keys=True)


def why_not(config: RunConfig) -> str | None:
    """Return why a run trains alone, as far as its configuration says; None if nothing speaks against a group."""
    values = config.values
    if is_module(values["model"]["_target_"]):
        return "a LightningModule trains by steps of its own"
    optimizer = find(str(values["optimizer"]["_target_"]))
    if optimizer is None or not optimizer.path.startswith("torch.optim.") or optimizer.name not in ELEMENTWISE:
        name = _path(values["optimizer"]).rpartition(".")[2]
        return f"the steps of {name} are not known to treat every weight by itself"
    for name, defaults in TRAINER.items():
        value = values["trainer"].get(name)
        if value is not None and value not in defaults:
            return f"trainer.{name}={value} is for runs alone"
    for name, node in _callbacks(config).items():
        if _path(node) not in CALLBACKS:
            return f"callbacks.{name} watches one run"
    return "logger watches one run" if values["logger"] else None


def _callbacks(config: RunConfig) -> dict[str, Any]:
    return config.values["callbacks"] or {}


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
