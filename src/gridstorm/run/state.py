"""What a checkpoint holds of a run beside Lightning's own state, and how that is taken up."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.optim import Optimizer


def plateaus_due(trainer: pl.Trainer) -> dict[int, float]:
    """Return by its place what each ReduceLROnPlateau is about to hear of an epoch that is over.

    Lightning writes checkpoints before it tells them, and on resuming it does not.
    """
    places = [*enumerate(trainer.lr_scheduler_configs)] if isinstance(trainer, pl.Trainer) else []
    due = [(number, str(one.monitor)) for number, one in places if one.reduce_on_plateau and one.interval == "epoch"
           and (trainer.current_epoch + 1) % one.frequency == 0]  # fmt: skip
    return {number: float(trainer.callback_metrics[name]) for number, name in due if name in trainer.callback_metrics}


def tell_plateaus(trainer: pl.Trainer, scores: dict[int, float]) -> None:
    """Tell each ReduceLROnPlateau what it was about to hear; one that a branch has changed hears nothing."""
    for number, one in enumerate(trainer.lr_scheduler_configs) if scores else ():
        scheduler: Any = one.scheduler
        if number in scores and one.reduce_on_plateau:
            scheduler.step(scores[number])


def drawn() -> dict[str, Any]:
    """Return where the random numbers are, in plain values."""
    kind, keys, *rest = np.random.get_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    numpy = [kind, np.asarray(keys).tolist(), *rest]
    return {"torch": torch.get_rng_state(), "cuda": devices, "numpy": numpy, "random": random.getstate()}


def draw_on(states: dict[str, Any]) -> None:
    """Go on with the random numbers from there."""
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    random.setstate(states["random"])


def unfreeze(optimizers: Sequence[Optimizer]) -> None:
    """Let what is in optimizers be trained: a finetuning that goes on has frozen anew what it had unfrozen."""
    for optimizer in optimizers:
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            parameter.requires_grad_(True)
