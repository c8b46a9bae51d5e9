"""The book-keeping of a run: the points of its curves, its best score, and when it is to stop."""

import math
import random
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import BaseFinetuning
from pytorch_lightning.utilities.data import extract_batch_size
from torch import nn
from torch.optim import Optimizer

from gridstorm.config import RunConfig
from gridstorm.module import Module, learning_rates, restart_loader
from gridstorm.objects import ends_an_epoch, is_plain
from gridstorm.record import LayerFile, RunRecord, Status, StepFile, best_name
from gridstorm.run.branch import is_parents, of_callbacks
from gridstorm.run.heal import gives_up
from gridstorm.run.layer import Layers
from gridstorm.run.state import draw_on, drawn, plateaus_due, tell_plateaus, unfreeze


@runtime_checkable
class Measuring(Protocol):
    """A LightningModule that measures by itself, where `self.log` would cost more than the step."""

    def publish(self, part: str) -> dict[str, float]:
        """Return the metrics of a whole part, handed to Lightning's callbacks too."""

    def recent(self) -> dict[str, float]:
        """Return the training metrics since it was asked last."""

    def losses(self) -> list[float]:
        """Return the training loss of each batch of this epoch."""


class Curve(pl.Callback):
    """Keeps the book of a run of any LightningModule; the first of its callbacks, so that the others find the score.

    It is one callback, since Lightning looks at each of them at each of a step's twenty hooks.

    Args:
        record: The run's directory.
        monitor: The metric that is the run's score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
        seed: Of what each epoch draws.
        keep: Plain values that every checkpoint holds under `gridstorm`.
        after_score: Is told the score of each epoch that has one, before the checkpoint is written.
        config: The run's, by which the state of another run is known that it begins from.
        gives_up: Tells after an epoch whether the run is beyond help, and ends; None where nobody asks that.

    Attributes:
        progress: Samples seen, seconds of training, the best score and its epoch: what resuming takes up.
        step_info: What the step before the next point was like: its learning rate and gradient norm.
        why: Why the run was asked to stop; None where it was not.
        diverged: Whether the training loss is no number any more.
        layers: What looks at the layers before and after a step; None before training.
    """

    def __init__(
        self,
        record: RunRecord,
        *,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        seed: int = 0,
        keep: dict[str, Any] | None = None,
        after_score: Callable[[float], None] | None = None,
        config: RunConfig | None = None,
        gives_up: Callable[[int], bool] | None = None,
    ) -> None:
        self.record, self.monitor, self.mode, self.seed = record, monitor, mode, seed
        self.keep, self.after_score, self.config, self.gives_up = keep or {}, after_score, config, gives_up
        self.progress: dict[str, Any] = {"samples": 0, "seconds": 0.0, "best_score": None, "best_epoch": None}
        self.step_info: dict[str, float] = {}
        self.why: str | None = None
        self.diverged = False
        self._started = time.monotonic()
        self._validated: dict[str, float] = {}
        self._score: float | None = None  # of this epoch
        self._seen: dict[str, torch.Tensor] = {}
        self._steps: StepFile | None = None
        self.layers: Layers | None = None
        self._layer_file = LayerFile(record.directory)
        self._losses: list[torch.Tensor] = []  # of this epoch, of a module that does not measure by itself
        self._first = 0  # the batch that the first of them is of
        self._measures = self._counts = self._resumed = self._loaded = False
        self._drawn: dict[str, Any] | None = (
            None  # where the random numbers were, of a run that goes on within an epoch
        )
        self._plateaus: dict[int, float] = {}  # what schedulers are to hear of the epoch after which a run goes on

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """See once whether the module measures by itself: asking at each step would cost a hundredth of it."""
        self._measures = isinstance(pl_module, Measuring)
        self._counts = self._measures and getattr(pl_module, "has_pairs", True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, at what the run has taken already; one that goes on may have been asked to stop."""
        self._started = time.monotonic() - self.progress["seconds"]
        if self._drawn:
            draw_on(self._drawn)
        tell_plateaus(trainer, self._plateaus)
        if self._loaded and any(isinstance(callback, BaseFinetuning) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            unfreeze(trainer.optimizers)
        if trainer.is_global_zero:
            self._steps = StepFile(self.record.directory, trainer.max_epochs or 1)
            self._steps.begin(trainer.current_epoch)
            self.layers = Layers(pl_module)
            self._layer_file.begin(self.layers.names, trainer.global_step)
        self._look(trainer, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the epoch's random numbers from the seed and the epoch: so a resumed run draws the same."""
        seed = epoch_seed(self.seed, trainer.current_epoch)
        torch.default_generator.manual_seed(seed)
        if (
            pl_module.device.type != "cpu"
        ):  # torch.manual_seed formats a stack trace for accelerators that are not there
            torch.manual_seed(seed)
        if callable(tell := getattr(getattr(trainer, "datamodule", None), "set_epoch", None)):
            tell(trainer.current_epoch)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # the generator that a user's own code draws from
        if self._resumed and isinstance(trainer, pl.Trainer):  # not a run of a group, whose loaders are seeded
            restart_loader(trainer)
        self._resumed = False

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Look at the step that is about to be taken, where a point of the curves follows."""
        if self.is_point(trainer):
            gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
            norm = float(nn.utils.get_total_norm(gradients))
            number = trainer.optimizers.index(optimizer) if len(trainer.optimizers) > 1 else 0
            of = f"/{number + 1}" if number else ""
            self.step_info |= {**learning_rates(optimizer, number), f"opt/grad_norm{of}": norm}
            if not number and self.layers is not None and self._layer_file.is_due():
                weights = self.layers.weights
                slopes = [None if weight.grad is None else weight.grad[None] for weight in weights]
                self.layers.before([weight[None] for weight in weights], slopes)

    def layers_are_due(self) -> bool:
        """Tell whether the layers are looked at in this step, one of those that are followed by a point."""
        return self.layers is not None and self._layer_file.is_due()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples, and log a point within a long epoch."""
        size = len(batch[0]) if self._counts else batch_size(batch)
        self.progress["samples"] += size * trainer.world_size
        if not self._measures and isinstance(outputs, dict) and isinstance(outputs.get("loss"), torch.Tensor):
            self._first = self._first if self._losses else batch_idx
            self._losses.append(outputs["loss"].detach())
        if self.layers is not None and self.layers.is_between:
            self.add_layers(trainer, *self.layers.after([weight[None] for weight in self.layers.weights]))
        if self.is_point(trainer) and not trainer.is_last_batch:
            self.log_step(trainer, pl_module)

    def add_layers(self, trainer: pl.Trainer, values: dict[str, list[float]]) -> None:
        """Write what a step did to each layer."""
        self._layer_file.add(trainer.global_step, trainer.current_epoch + 1, values)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the validation metrics; inside an epoch they are a point of the curves too."""
        if trainer.sanity_checking or not self._measures:
            return
        self._validated = self._measured(pl_module, "val")
        if not trainer.is_last_batch:
            self._update_best(trainer, self._validated)
            self._log(trainer, pl_module, {**self._validated, **self._best()})
            self._validated = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's point and remember the best score; end a run that diverged, or is asked to stop.

        A module that logs by `self.log` may still do so after this: `AfterEpoch` follows it.
        """
        if not self._measures:
            return
        self._write_steps(trainer, pl_module.losses())  # type: ignore[operator]  # it is Measuring
        whole = self._measured(pl_module, "train")
        self.diverged = not math.isfinite(whole.get("train/loss", 0.0))
        if self.diverged:
            trainer.should_stop = True
        self._update_best(trainer, {**whole, **self._validated})
        if self._score is not None and self.after_score:
            self.after_score(self._score)
        self._log(trainer, pl_module, {**self._recent(pl_module), **self._validated, **self._best()})
        self._validated, self._score = {}, None
        self._look(trainer, trainer.current_epoch + 1)

    def after_epoch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do the same for a module that logged by `self.log`, whose values are written already."""
        losses = [loss for loss in self._losses if loss.numel() == 1]
        self._write_steps(
            trainer, torch.stack([*map(torch.Tensor.flatten, losses)]).flatten().tolist() if losses else []
        )
        self._losses = []
        fresh = self._fresh(trainer)
        self.diverged = any(not math.isfinite(value) for name, value in fresh.items() if self._is_training_loss(name))
        if self.diverged:
            trainer.should_stop = True
        self._update_best(trainer, fresh)
        self._log(trainer, pl_module, {**self.step_info, **self._best()})
        self._score = None
        self._look(trainer, trainer.current_epoch + 1)

    def _write_steps(self, trainer: pl.Trainer, losses: Sequence[float]) -> None:
        """Write the losses of an epoch's steps, of which a curve at points of the epoch says too little."""
        if self._steps and losses:
            self._steps.add(trainer.current_epoch + 1, losses, 0 if self._measures else self._first)

    def after_validation(self, trainer: pl.Trainer) -> None:
        """Take up the score of a validation within an epoch."""
        if not trainer.sanity_checking and not trainer.is_last_batch:
            self._update_best(trainer, self._fresh(trainer))

    def _fresh(self, trainer: pl.Trainer) -> dict[str, float]:
        """Return what was logged since this was asked last: Lightning keeps the values of earlier epochs."""
        logged = dict(trainer.callback_metrics)
        fresh = {name: value for name, value in logged.items() if self._seen.get(name) is not value}
        self._seen |= logged
        return {name: float(value) for name, value in fresh.items()}

    def _is_training_loss(self, name: str) -> bool:
        return name == self.monitor or name.replace("/", "_") in ("loss", "train_loss", "train_loss_epoch")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what resuming needs beside Lightning's own state, and leave out hyperparameters that are no plain values.

        A module and its data are built again from the configuration.
        """
        for section in (checkpoint.get(name) for name in ("hyper_parameters", "datamodule_hyper_parameters")):
            for name in [name for name, value in (section or {}).items() if not is_plain(value)]:
                section.pop(name)  # type: ignore[union-attr]  # it is not empty
        within = {"plateaus": plateaus_due(trainer)} if ends_an_epoch(checkpoint) else {"drawn": drawn()}
        checkpoint["gridstorm"] = {**self.keep, "progress": dict(self.progress), **within}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up the run where the checkpoint left it."""
        self._loaded, self._resumed = True, ends_an_epoch(checkpoint)
        if callable(tell := getattr(getattr(trainer, "datamodule", None), "set_epoch", None)):
            tell(checkpoint["epoch"] + self._resumed)  # a loader that goes on within an epoch is begun before it begins
        self._drawn = checkpoint["gridstorm"].get("drawn")
        self._plateaus = checkpoint["gridstorm"].get("plateaus") or {}
        self.progress = dict(checkpoint["gridstorm"]["progress"])
        if self.config and is_parents(checkpoint, self.config):
            self._begin_branch(checkpoint, self.config)

    def _begin_branch(self, checkpoint: dict[str, Any], config: RunConfig) -> None:
        """Take up the best score whose weights are there: the parent's best may have come later."""
        epoch = config.values["parent"]["best_epoch"]
        scores = [row[self.monitor] for row in self.record.rows() if row["epoch"] == epoch
                  and row.get(self.monitor) is not None]  # fmt: skip
        score = float(torch.tensor(scores[-1])) if scores and self.record.best_checkpoint else None
        self.progress |= {"best_score": score, "best_epoch": None if score is None else epoch}
        of_callbacks(checkpoint, config, score)

    def is_point(self, trainer: pl.Trainer) -> bool:
        """Tell whether the current step is followed by a point of the curves."""
        every = trainer.log_every_n_steps * trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        return trainer.is_last_batch or (trainer.fit_loop.epoch_loop.batch_idx + 1) % every == 0

    def log_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log a point within an epoch."""
        self._log(trainer, pl_module, self._recent(pl_module))

    def counters(self, trainer: pl.Trainer) -> dict[str, float]:
        """Return where the training is: what each point of the curves begins with."""
        return {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch + (trainer.state.fn == "fit"),  # a test comes after the last one
            "samples": self.progress["samples"],
            "seconds": round(self.progress["seconds"], 3),
        }

    def _recent(self, module: Any) -> dict[str, float]:
        return (module.recent() if self._measures else {}) | self.step_info

    @staticmethod
    def _measured(module: Any, part: str) -> dict[str, float]:
        values: dict[str, float] = module.publish(part)
        return values

    def _update_best(self, trainer: pl.Trainer, values: dict[str, float]) -> None:
        """Remember the best score, in the precision in which the checkpoint compares it."""
        if self.monitor not in values:
            return
        score, best = float(torch.tensor(values[self.monitor])), self.progress["best_score"]
        better = best is None or (score < best if self.mode == "min" else score > best)
        if math.isfinite(score) and better:
            self.progress |= {"best_score": score, "best_epoch": trainer.current_epoch + 1}
        self._score = score

    def _best(self) -> dict[str, float]:
        score = self.progress["best_score"]
        return {} if score is None else {best_name(self.monitor): score}

    def _log(self, trainer: pl.Trainer, module: pl.LightningModule, values: dict[str, float]) -> None:
        """Log one point of the curves to every logger."""
        self.progress["seconds"] = time.monotonic() - self._started
        norm = nn.utils.get_total_norm([parameter.detach() for parameter in module.parameters()])
        row = {**self.counters(trainer), **values, "opt/weight_norm": float(norm)}
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics(row, trainer.global_step)

    def _look(self, trainer: pl.Trainer, epochs: int) -> None:
        """Stop where the run's directory asks so, or its curves do; of several processes the first one decides."""
        if trainer.is_global_zero:
            if self.gives_up and self.gives_up(epochs):
                self.record.ask_to_stop(Status.PRUNED, epochs)
            self.why = self.record.stops_after(epochs)
        if trainer.world_size > 1:
            self.why = trainer.strategy.broadcast(self.why)
        trainer.should_stop = trainer.should_stop or self.why is not None


class AfterEpoch(pl.callbacks.Checkpoint):
    """Lets a run's book be kept when all that a module logs in an epoch is there: Lightning calls checkpoints last.

    Args:
        curve: The book.
    """

    def __init__(self, curve: Curve) -> None:
        self.curve = curve

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the score of a validation within an epoch."""
        if trainer.state.fn == "fit":
            self.curve.after_validation(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the score of the epoch."""
        self.curve.after_epoch(trainer, pl_module)


def curve_for(config: RunConfig, record: RunRecord, module: pl.LightningModule) -> Curve:
    """Return what keeps the book of a run."""
    values = config.values
    return Curve(
        record,
        monitor=values["monitor"],
        mode=values["mode"],
        seed=values["seed"],
        keep={"config": values, "signature": config.signature},
        after_score=module.step_plateau if isinstance(module, Module) else None,
        config=config,
        gives_up=gives_up(config, record),
    )


def batch_size(batch: Any) -> int:
    """Return how many samples a batch of any structure has: the length of its first tensor; 1 where it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's, that tensors of several lengths leave a choice
            return extract_batch_size(batch)
    except MisconfigurationException:
        return 1


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's random numbers, so that an epoch that is trained again draws the same ones."""
    return (seed * 1_000_003 + epoch + 1) % 2**63
