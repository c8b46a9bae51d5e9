"""The one LightningModule: any network, loss, optimizer and scheduler, for any task.

A step logs nothing through Lightning: it keeps tensors, and a point of the curves is made of them every
`log_every_n_steps` steps and at each epoch's end. Lightning's `self.log` alone would cost more than the step.
"""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gridstorm.config import metrics
from gridstorm.record import best_name
from gridstorm.run.lightning import Lean
from gridstorm.run.metric import Batch, Meter, is_plain, passed, quantities
from gridstorm.run.optimizer import counts_steps, made, parameter_groups, split_parameters


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of an epoch's random numbers, so that an epoch that is trained again draws the same ones."""
    return (seed * 1_000_003 + epoch + 1) % 2**63


class Module(Lean):
    """Trains `network` on batches (x, y).

    Args:
        network: Maps x [N, ...] to logits [N, C], or [N, T, C] for text.
        loss: Maps logits [N, C] and y to a scalar; text comes as N times T samples.
        optimizer: Makes the optimizer of parameter groups.
        scheduler: Makes the scheduler of the optimizer. If it takes `total_steps` or `T_max` and has none, it is given
            the number of steps and stepped at each of them; otherwise it is stepped at each epoch's end.
        task: A key of `gridstorm.task.METRICS`.
        monitor: The metric that is the run's score.
        mode: Whether it is better when smaller (`min`) or larger (`max`).
        seed: Of what each epoch draws.
        l1: Times the sum of the absolute weights is added to the loss.
        skip_norm_and_bias: Whether weight decay and `l1` leave normalisation layers and biases alone.
        unit: The standard deviation of the target in its own unit, for regression.
        keep: Plain values that every checkpoint holds under `gridstorm`.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        *,
        task: str,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        seed: int = 0,
        l1: float = 0.0,
        skip_norm_and_bias: bool = False,
        unit: float = 1.0,
        keep: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.task, self.monitor, self.mode, self.seed, self.unit = task, monitor, mode, seed, unit
        self.l1, self.skip_norm_and_bias, self.keep = l1, skip_norm_and_bias, keep or {}
        self.l1_parameters = split_parameters(network)[0] if skip_norm_and_bias else list(network.parameters())
        self.meters = {"train": Meter(), "val": Meter(), "test": Meter()}
        self.predictions: list[Batch] = []
        self.progress: dict[str, Any] = {"samples": 0, "seconds": 0.0, "best_score": None, "best_epoch": None}
        self.diverged = False
        self._started = time.monotonic()
        self._reported = 0
        self._optics: dict[str, float] = {}
        self._validated: dict[str, float] = {}
        self._scored: float | None = None

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the scheduler, told when it is stepped.

        Raises:
            Refusal: One of them says in a ValueError that a value is wrong.
        """
        return self.configured(parameter_groups(self.network, self.skip_norm_and_bias))

    def configured(self, groups: list[dict[str, Any]], **flags: bool) -> dict[str, Any]:
        """Return the optimizer of these parameter groups, made with these flags, and the scheduler."""
        optimizer = made("optimizer", self.make_optimizer, groups, **flags)
        counted = counts_steps(self.make_scheduler)
        steps = {counted: max(int(self.trainer.estimated_stepping_batches), 1)} if counted else {}
        scheduler = made("scheduler", self.make_scheduler, optimizer, **steps)
        told: dict[str, Any] = {"scheduler": scheduler, "interval": "step" if counted else "epoch"}
        if isinstance(scheduler, ReduceLROnPlateau):
            told["monitor"] = self.monitor
        return {"optimizer": optimizer, "lr_scheduler": told}

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradients where it was asked for, and look at nothing where it was not."""
        if gradient_clip_val is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the scheduler, except one that reads the score: Lightning steps that only after the checkpoint."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's logits."""
        return self.network(x)  # type: ignore[no-any-return]

    def _step(self, part: str, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        loss, logits, y = passed(self.network, self.loss, batch)
        values = quantities(self.task, logits.detach(), y, loss.detach(), is_plain(self.loss))
        self.meters[part].add(len(batch[0]), values)
        return loss, logits, y

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss to minimise."""
        loss = self._step("train", batch)[0]
        if self.l1:
            loss = loss + self.l1 * sum(parameter.abs().sum() for parameter in self.l1_parameters)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        self._step("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test metrics and keep its predictions, except those of text."""
        _, logits, y = self._step("test", batch)
        if self.task != "language_modelling":
            self.predictions.append((logits.detach().cpu(), y.cpu()))

    def on_train_start(self) -> None:
        """Start the clock, at what the run has taken already."""
        self._started = time.monotonic() - self.progress["seconds"]

    def on_train_epoch_start(self) -> None:
        """Draw the epoch's random numbers from the seed and the epoch: so a resumed run draws the same."""
        seed = epoch_seed(self.seed, self.current_epoch)
        torch.default_generator.manual_seed(seed)
        if self.device.type != "cpu":  # torch.manual_seed formats a stack trace for accelerators that are not there
            torch.manual_seed(seed)
        self.meters["train"], self._reported = Meter(), 0

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Look at the step that is about to be taken, where a point of the curves follows."""
        if self._is_point():
            gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
            self._optics = {
                "lr": float(optimizer.param_groups[0]["lr"]),
                "opt/grad_norm": float(nn.utils.get_total_norm(gradients)),
            }

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log a point within a long epoch."""
        self.progress["samples"] += len(batch[0]) * self.trainer.world_size
        if self._is_point() and not self.trainer.is_last_batch:
            self._point(self._train_metrics())

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self.meters["val"] = Meter()

    def on_validation_epoch_end(self) -> None:
        """Tell Lightning's callbacks the validation metrics; inside an epoch they are a point of the curves too."""
        if self.trainer.sanity_checking:
            return
        self._validated = self._tell("val")
        if not self.trainer.is_last_batch:
            self._judge(self._validated)
            self._point({**self._validated, **self._best()})
            self._validated = {}

    def on_test_epoch_end(self) -> None:
        """Tell Lightning the test metrics, and collect the predictions of all processes."""
        self._tell("test")
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            gathered: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(gathered, self.predictions)
            self.predictions = [batch for batches in gathered for batch in batches]

    def on_train_epoch_end(self) -> None:
        """Log the epoch's point and remember the best score; end a run whose loss is no number any more."""
        whole = self._tell("train")
        self.diverged = not math.isfinite(whole["train/loss"])
        if self.diverged:
            self.trainer.should_stop = True
        self._judge({**whole, **self._validated})
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau) and self._scored is not None:
            scheduler.step(self._scored)
        self._point({**self._train_metrics(), **self._validated, **self._best()})
        self._validated, self._scored = {}, None

    def _is_point(self) -> bool:
        trainer = self.trainer
        every = trainer.log_every_n_steps * trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        return trainer.is_last_batch or (trainer.fit_loop.epoch_loop.batch_idx + 1) % every == 0

    def _train_metrics(self) -> dict[str, float]:
        """Return the training metrics since the last point, and what the step before this one was like."""
        means = self.meters["train"].means(self._reported)
        self._reported = len(self.meters["train"].sizes)
        return {f"train/{name}": value for name, value in metrics(self.task, means, self.unit).items()} | self._optics

    def _tell(self, part: str) -> dict[str, float]:
        """Hand the metrics of a whole part to Lightning, whose callbacks read them; return them."""
        if not self.meters[part].sizes:
            return {}
        means = metrics(self.task, self.meters[part].means(), self.unit)
        told = {f"{part}/{name}": value for name, value in means.items()}
        # What `log_dict` would end in, without its millisecond.
        self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in told.items()})
        return told

    def _judge(self, values: dict[str, float]) -> None:
        """Remember the best score, in the precision in which the checkpoint compares it."""
        if self.monitor not in values:
            return
        score, best = float(torch.tensor(values[self.monitor])), self.progress["best_score"]
        better = best is None or (score < best if self.mode == "min" else score > best)
        if math.isfinite(score) and better:
            self.progress |= {"best_score": score, "best_epoch": self.current_epoch + 1}
        self._scored = score

    def _best(self) -> dict[str, float]:
        score = self.progress["best_score"]
        return {} if score is None else {best_name(self.monitor): score}

    def counters(self) -> dict[str, float]:
        """Return where the training is: what each point of the curves begins with."""
        return {
            "step": self.trainer.global_step,
            "epoch": self.current_epoch + 1,
            "samples": self.progress["samples"],
            "seconds": round(self.progress["seconds"], 3),
        }

    def _point(self, values: dict[str, float]) -> None:
        """Log one point of the curves to every logger."""
        self.progress["seconds"] = time.monotonic() - self._started
        norm = nn.utils.get_total_norm([parameter.detach() for parameter in self.network.parameters()])
        row = {**self.counters(), **values, "opt/weight_norm": float(norm)}
        if self.trainer.is_global_zero:
            for logger in self.loggers:
                logger.log_metrics(row, self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what resuming needs beside Lightning's own state: plain values only."""
        checkpoint["gridstorm"] = {**self.keep, "progress": dict(self.progress)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the run where the checkpoint left it."""
        self.progress = dict(checkpoint["gridstorm"]["progress"])
