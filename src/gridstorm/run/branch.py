"""Going on from another run's state with other hyperparameters: what of its optimizer and its schedule stays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from gridstorm.config import RunConfig, leaves
from gridstorm.error import Problem, UserError
from gridstorm.module import Module, counts_steps, estimated_steps, stretched
from gridstorm.objects import loaded
from gridstorm.record import RunRecord, is_run, states

OF_SCHEDULERS = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")  # which they add to groups
RATES = ("lr", "learning_rate")
# What moves in a scheduler's state; all else are its hyperparameters, which a branch may change.
MOVING = ("last_epoch", "_step_count", "best", "num_bad_epochs", "cooldown_counter", "T_cur", "T_i")


def is_parents(saved: Mapping[str, Any], config: RunConfig) -> bool:
    """Tell whether a checkpoint is of the run from which a branch begins, and not of the branch itself."""
    return bool(config.values.get("branch")) and saved["gridstorm"]["signature"] != config.signature


def refuse_misfit(config: RunConfig, module: pl.LightningModule) -> None:
    """Refuse a branch whose model is not that of the state from which it begins.

    Raises:
        UserError: A weight has another shape or is missing, or some are no numbers any more.
    """
    parent, branch = config.values.get("parent"), config.values.get("branch")
    if not (parent and branch and is_run(Path(parent["directory"]))):
        return  # of a run that goes on the parent may be gone
    file = states(RunRecord(Path(parent["directory"]))).get(parent["epoch"])
    if file is None:
        return
    state = loaded(file)
    if int(state["epoch"]) + 1 != parent["epoch"]:
        fact = f"What is kept as the state after epoch {parent['epoch']} is that after epoch {state['epoch'] + 1}."
        raise UserError([Problem(f"branch={branch}", fact, "Begin from another epoch.")])
    saved, own = state["state_dict"], module.state_dict()
    shapes = {name: [tuple(one[name].shape) if name in one else None for one in (saved, own)] for name in saved | own}
    if wrong := [(name, *pair) for name, pair in shapes.items() if pair[0] != pair[1]]:
        name, there, here = wrong[0]
        fact = f"Its weights are not of this model: {name} is {there or 'missing'} there and {here or 'missing'} here."
        remedy = (
            f"Change how it is trained, and not what; or begin with its weights alone: init_from={parent['directory']}."
        )
        raise UserError([Problem(f"branch={branch}", fact, remedy)])
    if not all(bool(torch.isfinite(value).all()) for value in saved.values() if value.is_floating_point()):
        fact = f"Its weights were no numbers any more after epoch {parent['epoch']}."
        raise UserError([Problem(f"branch={branch}", fact, "Begin from an earlier epoch.")])


def let_begin(trainer: pl.Trainer, config: RunConfig | None, module: pl.LightningModule) -> None:
    """Let the state of another run be taken up as a branch does, when the Trainer reads it."""
    if config is None or not config.values.get("branch"):
        return
    strategy = trainer.strategy
    take_up = strategy.load_optimizer_state_dict

    def adopting(saved: Mapping[str, Any]) -> None:
        if is_parents(saved, config):
            places = trainer.lr_scheduler_configs
            fresh = adopt(saved, config, module, trainer.optimizers, [place.scheduler for place in places])
            for place, scheduler in zip(places, fresh, strict=True):
                place.scheduler = scheduler
        take_up(saved)

    strategy.load_optimizer_state_dict = adopting  # type: ignore[method-assign,assignment]  # of this Trainer alone


def adopt(
    saved: Any, config: RunConfig, module: pl.LightningModule, optimizers: Sequence[Any], schedulers: Sequence[Any]
) -> list[Any]:
    """Write into a parent's checkpoint what the branch's optimizers and schedulers are to begin with.

    An optimizer keeps its averages where it is the same kind, with the hyperparameters of the branch. A scheduler goes
    on, at the branch's learning rate; one that was changed begins anew and counts what remains.

    Args:
        saved: The checkpoint; its `optimizer_states` and `lr_schedulers` are written anew.
        config: That of the branch.
        module: That of the branch.
        optimizers: What has their states, just made.
        schedulers: Theirs.

    Returns:
        The schedulers, some of them made anew.
    """
    before = saved["gridstorm"]["config"]
    made = [_scheduler(saved, before, config, module, scheduler) if isinstance(module, Module) else scheduler
            for scheduler in schedulers]  # fmt: skip
    moving = [not isinstance(module, Module) or _is_plateau(before, config, one) for one in made]
    follows = moving or [False]
    rates, unchanged = _rates(before, config), before["model"] == config.values["model"]
    saved["optimizer_states"] = [
        _optimizer_state(old, one.state_dict(), follows[min(number, len(follows) - 1)], rates, unchanged)
        for number, (old, one) in enumerate(zip(saved["optimizer_states"], optimizers, strict=True))
    ]
    pairs = zip(saved["lr_schedulers"], made, moving, strict=False)
    saved["lr_schedulers"] = [_moved(old, one.state_dict()) if moves else one.state_dict() for old, one, moves in pairs]
    return made


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scheduler's state with the hyperparameters of the new one, as far on as the old one was."""
    inner = zip(old.get("_schedulers", ()), new.get("_schedulers", ()), strict=False)
    nested = {"_schedulers": [_moved(one, other) for one, other in inner]} if "_schedulers" in new else {}
    return {**new, **{key: old[key] for key in MOVING if key in old}, **nested}


def _is_plateau(before: Mapping[str, Any], config: RunConfig, scheduler: Any) -> bool:
    return isinstance(scheduler, ReduceLROnPlateau) and _is_same(before, config)


def _is_same(before: Mapping[str, Any], config: RunConfig) -> bool:
    """Tell whether the scheduler is the parent's, but for what follows from another key, such as the learning rate."""
    was, now = (dict(leaves(values["scheduler"], "scheduler")) for values in (before, config.values))
    return all(was.get(key, key) == now.get(key, key) for key in {*was, *now} - {*config.written})


def _scheduler(saved: Any, before: Mapping[str, Any], config: RunConfig, module: Module, scheduler: Any) -> Any:
    """Return a scheduler as if it had counted the parent's steps; one that was changed, from its start."""
    same, done = _is_same(before, config), int(saved["global_step"])
    counted = counts_steps(module.make_scheduler)
    if isinstance(scheduler, ReduceLROnPlateau):
        return scheduler
    steps = {counted: max(_remaining(saved, module) + (done if same else 0), 1)} if counted else {}
    return stretched(scheduler, module.make_scheduler, steps, int(saved["lr_schedulers"][0]["last_epoch"]) * same)


def _remaining(saved: Any, module: Module) -> int:
    """Return how many steps the Trainer will take from there on."""
    whole, epochs, steps = estimated_steps(module.trainer), module.trainer.max_epochs or -1, module.trainer.max_steps
    left = round(whole * (1 - (int(saved["epoch"]) + 1) / epochs)) if epochs > 0 else whole
    return min(left, steps - int(saved["global_step"])) if steps > 0 else left


def _rates(before: Mapping[str, Any], config: RunConfig) -> dict[float, float]:
    """Return for each learning rate of a branch that its configuration names what its parent has in its place."""
    was, now = (dict(leaves({name: values.get(name) for name in ("optimizer", "model")}))
                for values in (before, config.values))  # fmt: skip
    names = [name for name in now if name.rpartition(".")[2] in RATES and name in was]
    return {now[name]: was[name] for name in names if isinstance(now[name], float | int)}


def _optimizer_state(
    saved: Any, fresh: Any, follows: bool, rates: Mapping[float, float], unchanged: bool
) -> dict[str, Any]:
    """Return an optimizer's state with the averages of one and the hyperparameters of the other.

    Args:
        saved: The parent's.
        fresh: The branch's.
        follows: Whether the learning rate goes on from where the parent's schedule had taken it.
        rates: For the branch's first rates the parent's, where the scheduler notes none (ReduceLROnPlateau).
        unchanged: Whether the model is the parent's, so that a rate that no configuration names is, too.
    """
    old, new = saved["param_groups"], fresh["param_groups"]
    alike = len(old) == len(new) and all(map(_alike, old, new))
    groups = []
    for number, group in enumerate(new):
        was = old[min(number, len(old) - 1)]
        base = was.get("initial_lr") or rates.get(group["lr"]) or (group["lr"] if unchanged else was.get("lr"))
        rate = {"lr": was["lr"] * (group.get("initial_lr", group["lr"]) / base)} if follows and base else {}
        groups.append({**group, **rate})
    return {"state": saved["state"] if alike else {}, "param_groups": groups}


def _alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether the averages of one parameter group are those that the other needs."""
    flags = [key for key, value in new.items() if isinstance(value, bool)]
    return (
        old.keys() - {*OF_SCHEDULERS} == new.keys() - {*OF_SCHEDULERS}
        and len(old["params"]) == len(new["params"])
        and all(old[key] == new[key] for key in flags)
        and bool(old.get("momentum", 0)) == bool(new.get("momentum", 0))
    )


def of_callbacks(saved: Any, config: RunConfig, score: float | None) -> None:
    """Write into a parent's checkpoint what the branch's callbacks are to begin with.

    Early stopping counts anew, and so does a callback that was changed; the best score is that of the weights that are
    there.
    """
    before, callbacks = saved["gridstorm"]["config"].get("callbacks") or {}, config.values.get("callbacks") or {}
    changed = {str(node["_target_"]).rpartition(".")[2] for name, node in callbacks.items() if before.get(name) != node}
    kept = {key: value for key, value in (saved.get("callbacks") or {}).items()
            if key.partition("{")[0] not in {*changed, "EarlyStopping"} - {"Checkpoint"}}  # fmt: skip
    saved["callbacks"] = {key: {"best_score": score} if [*value] == ["best_score"] else value
                          for key, value in kept.items()}  # fmt: skip
