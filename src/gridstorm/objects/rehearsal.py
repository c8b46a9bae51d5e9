"""One real batch of a user's LightningModule, before it is trained: what it logs, and whether it can be saved."""

import copy
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.seed import isolate_rng

from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, did_you_mean
from gridstorm.module import direction, logged_metrics, refuse_a_wrong_direction
from gridstorm.objects.build import callbacks_for, network_for
from gridstorm.objects.checkpoint import is_plain, not_plain
from gridstorm.target import build

SHORT = {
    "max_epochs": 1, "max_steps": -1, "limit_train_batches": 1, "limit_val_batches": 1, "num_sanity_val_steps": 0,
    "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False,
    "check_val_every_n_epoch": 1, "val_check_interval": 1.0, "overfit_batches": 0.0, "accumulate_grad_batches": 1,
    "log_every_n_steps": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Rehearsal:
    """What one batch showed.

    Args:
        directions: The names that were logged, each with `min` or `max` where it is known which is better.
        left_out: The hyperparameters that are no plain values, so that no checkpoint holds them.
    """

    directions: dict[str, str | None] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def rehearse(config: RunConfig, data: Any) -> Rehearsal | None:
    """Train a second module of the configuration for one batch, by Lightning's own loop, and throw it away.

    Its epoch ends too. What raises here raises again in the training, where it is recorded: then None.

    Raises:
        UserError: It does not log what is monitored, the direction of that is not known, or a checkpoint of it could
            not be read again.
    """
    try:
        with isolate_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training tells the same
            module = network_for(config, data)
            trainer = _trainer(config)
            assert isinstance(module, pl.LightningModule)
            trainer.fit(module, datamodule=copy.copy(data))
            directions = {name: direction(name, metric) for name, metric in logged_metrics(trainer).items()}
            content = _checkpoint(trainer)
    except UserError:
        raise
    except Exception:
        return None
    refuse_what_is_not_logged(config, directions, type(module).__name__)
    hyperparameters = content.pop("hyper_parameters", {}) | content.pop("datamodule_hyper_parameters", {})
    if unreadable := [*not_plain(content)]:
        fact = f"Its checkpoint holds what is no tensor and no plain value: {', '.join(unreadable)}."
        remedy = "Leave it out of the state, or keep numbers, texts, lists and tensors there."
        raise UserError([Problem(f"model={type(module).__name__}", fact, remedy)])
    return Rehearsal(directions, [str(name) for name, value in hyperparameters.items() if not is_plain(value)])


def _trainer(config: RunConfig) -> pl.Trainer:
    watching = (pl.callbacks.Checkpoint, pl.callbacks.ProgressBar)
    callbacks = [callback for callback in callbacks_for(config) if not isinstance(callback, watching)]
    trainer: pl.Trainer = build({**config.values["trainer"], **SHORT}, logger=False, callbacks=callbacks)
    return trainer


def refuse_what_is_not_logged(config: RunConfig, directions: Mapping[str, str | None], module: str) -> None:
    """Refuse a score that is not there, or of which nobody says when it is better.

    Raises:
        UserError: So it is.
    """
    monitor = config.values["monitor"]
    if monitor not in directions:
        if config.values.get("monitor_later"):
            return
        fact = f"{module} logs no such metric in its first batch of training and validation."
        remedy = did_you_mean(monitor, directions) if directions else "Let it log one with self.log."
        remedy += " If it comes only later, add monitor_later=true."
        raise UserError([Problem(f"monitor={monitor}", fact, remedy)])
    refuse_a_wrong_direction(config, directions[monitor])


def _checkpoint(trainer: pl.Trainer) -> dict[str, Any]:
    """Return what a checkpoint of the run would hold; the file was written here, just now."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "last.ckpt")
        trainer.save_checkpoint(file)
        content: dict[str, Any] = torch.load(file, weights_only=False, map_location="cpu")
    return content
