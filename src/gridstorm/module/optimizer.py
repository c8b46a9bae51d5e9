"""Optimizer and scheduler: their parameter groups, and how they are made."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from gridstorm.config import COUNTED
from gridstorm.error import refused

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


def parameter_groups(network: nn.Module, skip_norm_and_bias: bool) -> list[dict[str, Any]]:
    """Return the optimizer's parameter groups: one, or where asked a second one of norms and biases without decay."""
    penalized, spared = split_parameters(network)
    if not skip_norm_and_bias or not spared:
        return [{"params": [parameter for parameter in network.parameters() if parameter.requires_grad]}]
    return [{"params": penalized}, {"params": spared, "weight_decay": 0.0}]


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
