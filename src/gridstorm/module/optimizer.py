"""Optimizer and scheduler: their parameter groups, and how they are made."""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import Optimizer

from gridstorm.config import COUNTED
from gridstorm.error import Problem, UserError, did_you_mean, refused

NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d,
    nn.InstanceNorm3d, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm,
)  # fmt: skip


def counts_steps(scheduler: Callable[..., Any]) -> str | None:
    """Return the argument in which a scheduler (a partial) wants the number of steps and has none; None if it does not.

    OneCycleLR and CosineAnnealingLR call it `total_steps` and `T_max`.
    """
    function = getattr(scheduler, "func", scheduler)
    keywords = getattr(scheduler, "keywords", {})
    takes = inspect.signature(function).parameters
    return next((name for name in COUNTED if name in takes and name not in keywords), None)


def estimated_steps(trainer: Any) -> int:
    """Return how many steps a Trainer will take; Lightning's own estimate knows no accumulation that changes."""
    whole = int(trainer.estimated_stepping_batches)
    changing = [callback for callback in trainer.callbacks if isinstance(callback, GradientAccumulationScheduler)]
    if not changing:
        return whole
    sizes = (changing[0].get_accumulate_grad_batches(epoch) for epoch in range(trainer.max_epochs))
    counted: int = sum(math.ceil(trainer.num_training_batches / size) for size in sizes)
    return min(counted, int(trainer.max_steps)) if trainer.max_steps > 0 else counted


def parameter_groups(
    network: nn.Module, skip_norm_and_bias: bool, asked: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Return the optimizer's parameter groups.

    Args:
        network: What is trained.
        skip_norm_and_bias: Whether the norms and biases of each group are a second one, without decay.
        asked: Patterns of names, such as `backbone.*`, each with what is set for it; the first that fits counts. Their
            groups bear the pattern as a name, and come after what fits none.

    Raises:
        UserError: A pattern fits no parameter that is trained.
    """
    spared = {id(parameter) for parameter in split_parameters(network)[1]} if skip_norm_and_bias else set[int]()
    by_pattern: dict[str | None, list[nn.Parameter]] = {None: [], **{pattern: [] for pattern in asked or {}}}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_pattern[next((pattern for pattern in asked or {} if fnmatchcase(name, pattern)), None)].append(parameter)
    groups = []
    for pattern, parameters in by_pattern.items():
        if pattern is not None and not parameters:
            raise UserError([unmatched("optimizer.groups", pattern, network)])
        own = {"name": pattern, **asked[pattern]} if asked and pattern is not None else {}
        bare = [parameter for parameter in parameters if id(parameter) in spared]
        rest = [parameter for parameter in parameters if id(parameter) not in spared]
        groups += [{"params": rest, **own}] if rest else []
        groups += [{"params": bare, **own, "weight_decay": 0.0}] if bare else []
    return groups


def unmatched(key: str, pattern: str, network: nn.Module) -> Problem:
    """Return the problem of a pattern that fits no parameter."""
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    parts = {f"{name.rpartition('.')[0]}.*" for name in names if "." in name}
    fact = "No parameter that is trained has such a name."
    return Problem(f"{key}={pattern}", fact, did_you_mean(pattern, [*names, *sorted(parts)]))


def learning_rates(optimizer: Optimizer, number: int = 0) -> dict[str, float]:
    """Return the learning rate of an optimizer, and of each of its groups that has a name.

    Args:
        optimizer: It.
        number: Which of a module's optimizers it is; the second one of a GAN logs `lr/2`.
    """
    of = f"/{number + 1}" if number else ""
    named = {f"lr{of}/{group['name']}": float(group["lr"]) for group in optimizer.param_groups if group.get("name")}
    first = [group for group in optimizer.param_groups[:1] if "lr" in group]  # else nothing is
    return {**{f"lr{of}": float(group["lr"]) for group in first}, **named}


def stretched(scheduler: Any, make: Callable[..., Any], steps: Mapping[str, int], done: int) -> Any:
    """Return a scheduler as if it had counted so many steps from the start, in the place of one that counts others.

    Args:
        scheduler: The one in use, whose optimizer goes on with the new one.
        make: Makes a scheduler.
        steps: How many steps the new one counts, by its argument.
        done: How many steps were taken already.
    """
    for group in scheduler.optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it steps before the optimizer
        fresh = make(scheduler.optimizer, **steps)
        for _ in range(done):
            fresh.step()
    return fresh


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the weights, and apart from them the biases and the parameters of normalisation layers."""
    spared = {
        id(parameter)
        for module in network.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(module, NORMS) or name.endswith("bias")
    }
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [p for p in parameters if id(p) not in spared], [p for p in parameters if id(p) in spared]


def built(key: str, partial: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return what `partial` makes, or refuse the section `key` with what it says of its values."""
    try:
        return partial(*arguments, **named)
    except ValueError as error:
        raise refused(key, error) from error
