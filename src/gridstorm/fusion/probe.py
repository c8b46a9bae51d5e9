"""Whether a network can be trained in a stack, and how much memory that takes."""

import copy
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gridstorm.config import RunConfig
from gridstorm.error import UserError, said
from gridstorm.fusion.build import build_all
from gridstorm.fusion.ensemble import Ensemble
from gridstorm.module import HOOKS, Batch, Module, forward_loss, hooks
from gridstorm.objects import first_of, trainer_for, try_one_batch
from gridstorm.run import epoch_seed

PROBE = 8  # samples that are passed to see whether a network can be stacked
TOLERANCE = 1e-3  # relative: between its losses in a stack and alone


def fusible(config: RunConfig) -> str | None:
    """Return why a network cannot be trained in a stack, in words, None if it can.

    Two of it pass a few training samples each, stacked and alone, forwards and backwards.
    """
    seeds = [config.values["seed"] + number for number in range(2)]
    both = [replace(config, values={**config.values, "seed": seed}) for seed in seeds]
    built = [*build_all(both)]
    if own := hooks(built[0][1], HOOKS):
        return f"the data's {own[0]} is for runs alone"
    try:
        try_one_batch(both[0], *built[0])
    except UserError as refusal:
        return said(refusal)
    module, data = built[0]
    before = torch.get_rng_state()
    x, y = (part[:PROBE] for part in module.pair(first_of(data.train_dataloader())))
    if not torch.equal(before, torch.get_rng_state()):  # as each DataLoader does: a run alone draws other ones
        return "its data draw random numbers, which are each run's own"
    batch = torch.stack([x, x.flip(0)]), torch.stack([y, y.flip(0)])
    modules = [module for module, _ in built]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*performance drop")
            ensemble = Ensemble(modules, [0, 1])
            ensemble.build(batch)
            agree = all(_agree(ensemble, modules, batch, training) for training in (False, True))
    except Exception as error:
        return f"its pass cannot be stacked ({said(error)})"
    return None if agree else "in a stack it gives another loss than alone"


def needs(config: RunConfig) -> dict[str, float]:
    """Return the `bytes` of memory that a run needs in a stack, and how many are `free` where it would be trained.

    What a pass keeps for its way back counts twice, for the gradients, and its weights five times: with gradients by
    layer and by row, and two moments of the optimizer.
    """
    module, data = next(build_all([config]))
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward_loss(module.network, module.loss, module.pair(first_of(data.train_dataloader())), module.task)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    double = 2 if "64" in str(config.values["trainer"].get("precision")) else 1
    device = trainer_for(config, bar=False).strategy.root_device
    return {
        "bytes": float(double * (2 * sum(tensor.nbytes() for tensor in kept.values()) + 5 * weights)),
        "free": _free_memory(device),
    }


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if (meminfo := Path("/proc/meminfo")).is_file():  # what files fill is free too, which sysconf does not say
        [line] = [line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable")]
        return float(line.split()[1]) * 1024
    return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _agree(ensemble: Ensemble, modules: Sequence[Module], batch: Batch, training: bool) -> bool:
    """Tell whether networks give the same losses in a stack and alone."""
    seeds = [epoch_seed(module.seed, 0) for module in modules]
    alone = []
    for module, seed, x, y in zip(copy.deepcopy([*modules]), seeds, *batch, strict=True):
        torch.manual_seed(seed)
        module.network.train(training)
        alone.append(module.measured_step("train", (x, y))[0].detach())
    ensemble.whole.train(training)
    ensemble.streams.seed(seeds)
    losses, _ = ensemble(batch)
    torch.autograd.grad(losses.sum(), [*ensemble.stack.parameters.values()])
    return torch.allclose(losses, torch.stack(alone), rtol=TOLERANCE)
