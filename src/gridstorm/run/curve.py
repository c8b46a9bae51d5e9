"""The book-keeping of a run: the points of its curves, its best score, and when it is to stop."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import Optimizer

from gridstorm.record import RunRecord, best_name


@runtime_checkable
class Measuring(Protocol):
    """A LightningModule that measures by itself, where `self.log` would cost more than the step."""

    def publish(self, part: str) -> dict[str, float]:
        """Return the metrics of a whole part, handed to Lightning's callbacks too."""

    def recent(self) -> dict[str, float]:
        """Return the training metrics since it was asked last."""


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

    Attributes:
        progress: Samples seen, seconds of training, the best score and its epoch: what resuming takes up.
        step_info: What the step before the next point was like: its learning rate and gradient norm.
        why: Why the run was asked to stop; None where it was not.
        diverged: Whether the training loss is no number any more.
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
    ) -> None:
        self.record, self.monitor, self.mode, self.seed = record, monitor, mode, seed
        self.keep, self.after_score = keep or {}, after_score
        self.progress: dict[str, Any] = {"samples": 0, "seconds": 0.0, "best_score": None, "best_epoch": None}
        self.step_info: dict[str, float] = {}
        self.why: str | None = None
        self.diverged = False
        self._started = time.monotonic()
        self._validated: dict[str, float] = {}
        self._score: float | None = None  # of this epoch

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, at what the run has taken already; one that goes on may have been asked to stop."""
        self._started = time.monotonic() - self.progress["seconds"]
        self._look(trainer, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the epoch's random numbers from the seed and the epoch: so a resumed run draws the same."""
        seed = epoch_seed(self.seed, trainer.current_epoch)
        torch.default_generator.manual_seed(seed)
        if (
            pl_module.device.type != "cpu"
        ):  # torch.manual_seed formats a stack trace for accelerators that are not there
            torch.manual_seed(seed)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Look at the step that is about to be taken, where a point of the curves follows."""
        if self.is_point(trainer):
            gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
            norm = float(nn.utils.get_total_norm(gradients))
            self.step_info = {"lr": float(optimizer.param_groups[0]["lr"]), "opt/grad_norm": norm}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples, and log a point within a long epoch."""
        self.progress["samples"] += len(batch[0]) * trainer.world_size
        if self.is_point(trainer) and not trainer.is_last_batch:
            self.log_step(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the validation metrics; inside an epoch they are a point of the curves too."""
        if trainer.sanity_checking:
            return
        self._validated = self._measured(trainer, pl_module, "val")
        if not trainer.is_last_batch:
            self._update_best(trainer, self._validated)
            self._log(trainer, pl_module, {**self._validated, **self._best()})
            self._validated = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's point and remember the best score; end a run that diverged, or is asked to stop."""
        whole = self._measured(trainer, pl_module, "train")
        self.diverged = not math.isfinite(whole.get("train/loss", 0.0))
        if self.diverged:
            trainer.should_stop = True
        self._update_best(trainer, {**whole, **self._validated})
        if self._score is not None and self.after_score:
            self.after_score(self._score)
        self._log(trainer, pl_module, {**self._recent(pl_module), **self._validated, **self._best()})
        self._validated, self._score = {}, None
        self._look(trainer, trainer.current_epoch + 1)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what resuming needs beside Lightning's own state: plain values only."""
        checkpoint["gridstorm"] = {**self.keep, "progress": dict(self.progress)}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take up the run where the checkpoint left it."""
        self.progress = dict(checkpoint["gridstorm"]["progress"])

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
            "epoch": trainer.current_epoch + 1,
            "samples": self.progress["samples"],
            "seconds": round(self.progress["seconds"], 3),
        }

    def _recent(self, module: pl.LightningModule) -> dict[str, float]:
        return (module.recent() if isinstance(module, Measuring) else {}) | self.step_info

    @staticmethod
    def _measured(trainer: pl.Trainer, module: pl.LightningModule, part: str) -> dict[str, float]:
        if isinstance(module, Measuring):
            return module.publish(part)
        metrics = trainer.callback_metrics
        return {name: float(value) for name, value in metrics.items() if name.startswith(f"{part}/")}

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
        """Stop where the run's directory asks so."""
        self.why = self.record.stops_after(epochs)
        trainer.should_stop = trainer.should_stop or self.why is not None


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's random numbers, so that an epoch that is trained again draws the same ones."""
    return (seed * 1_000_003 + epoch + 1) % 2**63
