"""The one LightningModule: any network, loss, optimizer and scheduler, for any task.

A step logs nothing through Lightning: it keeps tensors, of which `Curve` makes a point every `log_every_n_steps` steps
and at each epoch's end. Lightning's `self.log` alone would cost more than the step.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import Metric, MetricCollection

from gridstorm.config import metrics
from gridstorm.module.batch import Batch, picked
from gridstorm.module.lightning import LightModule
from gridstorm.module.metric import Meter, batch_metrics, forward_loss, is_plain
from gridstorm.module.optimizer import (
    built,
    counts_steps,
    estimated_steps,
    parameter_groups,
    split_parameters,
    stretched,
)

SHOWN = ("classification", "regression")  # tasks whose predictions in the test are shown as a whole


class Module(LightModule):
    """Trains `network` on batches (x, y).

    Args:
        network: Maps x [N, ...] to logits [N, C], or [N, T, C] for text, or [N, C, ...] with one class for each place.
        loss: Maps predictions and targets to a scalar, as `aligned` returns them.
        optimizer: Makes the optimizer of parameter groups.
        scheduler: Makes the scheduler of the optimizer. If it takes `total_steps` or `T_max` and has none, it is given
            the number of steps and stepped at each of them; otherwise it is stepped at each epoch's end.
        task: A key of `gridstorm.config.METRICS`.
        seed: Of what each epoch draws.
        l1: Times the sum of the absolute weights is added to the loss.
        skip_norm_and_bias: Whether weight decay and `l1` leave normalisation layers and biases alone.
        unit: The standard deviation of the target in its own unit, for regression, of several targets a list; the bytes
            of a token for a language model.
        shift: Its mean.
        names: What a batch calls x and y, where it is not the pair of them.
        groups: What the optimizer is to do otherwise for some parameters, by a pattern of their names.
        horizon: How many steps a scheduler counts that counts them, and then holds its last learning rate; None takes
            those of the run.
        stretch: Whether it counts those of the run although it counted others before.
        metrics: Of torchmetrics, by the name under which they are logged for validation and test; those of a regression
            see predictions and targets in their own unit.
    """

    collections: Any  # the metrics of the user's choice, by part

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        *,
        task: str,
        seed: int = 0,
        l1: float = 0.0,
        skip_norm_and_bias: bool = False,
        unit: float | list[float] = 1.0,
        shift: float | list[float] = 0.0,
        names: Mapping[str, Any] | None = None,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
        horizon: int | None = None,
        stretch: bool = False,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.task, self.seed, self.unit, self.shift = task, seed, unit, shift
        self.names, self.has_pairs = names, not names and task != "reconstruction"
        self.groups, self.horizon, self.stretch = groups, horizon, stretch
        self.watching = bool(metrics)
        if metrics:
            whole = MetricCollection({**metrics}, prefix="val/", compute_groups=False)
            self.collections = nn.ModuleDict({"val": whole, "test": whole.clone(prefix="test/")})
        self.l1, self.skip_norm_and_bias = l1, skip_norm_and_bias
        self.l1_parameters = split_parameters(network)[0] if skip_norm_and_bias else list(network.parameters())
        self.meters = {"train": Meter(), "val": Meter(), "test": Meter()}
        self.predictions: list[Batch] = []
        self._reported = 0  # batches of this epoch that `recent` has told of

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the scheduler, told when it is stepped.

        Raises:
            UserError: One of them says in a ValueError that a value is wrong.
        """
        return self.configured(self.parameter_groups())

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups."""
        return parameter_groups(self.network, self.skip_norm_and_bias, self.groups)

    def configured(self, groups: list[dict[str, Any]], **flags: bool) -> dict[str, Any]:
        """Return the optimizer of these parameter groups, made with these flags, and the scheduler."""
        optimizer = built("optimizer", self.make_optimizer, groups, **flags)
        steps = self.counted_steps()
        scheduler = built("scheduler", self.make_scheduler, optimizer, **steps)
        settings: dict[str, Any] = {"scheduler": scheduler, "interval": "step" if steps else "epoch"}
        if isinstance(scheduler, ReduceLROnPlateau):
            settings["reduce_on_plateau"] = False  # `step_plateau` does so: Lightning fails in an epoch without a score
        return {"optimizer": optimizer, "lr_scheduler": settings}

    def counted_steps(self) -> dict[str, int]:
        """Return how many steps the scheduler counts, by its argument; empty for one that counts none."""
        counted = counts_steps(self.make_scheduler)
        return {counted: self.horizon or max(estimated_steps(self.trainer), 1)} if counted else {}

    def on_train_start(self) -> None:
        """Let a scheduler that was read from a checkpoint count the run's own steps, where that was asked for."""
        if self.stretch and (steps := self.counted_steps()):
            [place] = self.trainer.lr_scheduler_configs
            place.scheduler = stretched(place.scheduler, self.make_scheduler, steps, self.trainer.global_step)

    @property
    def backbone(self) -> nn.Module:
        """The network's own backbone, if it has one, where Lightning's finetuning looks for it."""
        return self.network.backbone  # type: ignore[return-value]  # of a network that has one

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradients where it was asked for, and look at nothing where it was not."""
        if gradient_clip_val is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the scheduler, but for one that reads the score, as `step_plateau` does, and one that is at its end."""
        is_over = self.horizon is not None and scheduler.last_epoch >= self.horizon
        if not (isinstance(scheduler, ReduceLROnPlateau) or is_over):
            scheduler.step()

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's logits."""
        return self.network(x)  # type: ignore[no-any-return]

    def pair(self, batch: Any) -> Batch:
        """Return the input and the target of a batch."""
        return batch if self.has_pairs else picked(batch, self.names, self.task)  # type: ignore[return-value]  # it was tried

    def measured_step(self, part: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, the logits and the targets of a batch, and add it to the metrics of its part."""
        batch = self.pair(batch)
        loss, logits, y = forward_loss(self.network, self.loss, batch, self.task)
        values = batch_metrics(self.task, logits.detach(), y, loss.detach(), is_plain(self.loss))
        self.meters[part].add(len(batch[0]), values)
        if self.watching and part != "train":
            self.watch(part, logits.detach(), y)
        return loss, logits, y

    def watch(self, part: str, logits: Tensor, y: Tensor) -> None:
        """Add a batch to the metrics of the user's choice."""
        self.collections[part].update(*self.in_own_unit(logits, y))

    def in_own_unit(self, logits: Tensor, y: Tensor) -> Batch:
        """Return predictions and targets as metrics see them: those of a regression [N], in their own unit."""
        if self.task == "multilabel":
            return logits, y.long()
        if self.task != "regression":
            return logits, y
        unit, shift = (torch.as_tensor(value, dtype=y.dtype, device=y.device) for value in (self.unit, self.shift))
        return logits.squeeze(-1) * unit + shift, y.squeeze(-1) * unit + shift

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss to minimise."""
        loss = self.measured_step("train", batch)[0]
        if self.l1:
            loss = loss + self.l1 * sum(parameter.abs().sum() for parameter in self.l1_parameters)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        self.measured_step("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Add a batch to the test metrics and keep its predictions, where something is shown of them."""
        _, logits, y = self.measured_step("test", batch)
        if self.task in SHOWN:
            self.predictions.append((logits.detach().cpu(), y.cpu()))

    def on_train_epoch_start(self) -> None:
        """Forget the epoch before."""
        self.meters["train"], self._reported = Meter(), 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what an epoch has measured so far, where it is saved before its end."""
        if not self.trainer.is_last_batch:
            meter = self.meters["train"]
            checkpoint["measured"] = {"sizes": [*meter.sizes], "values": [*meter.values], "reported": self._reported}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take that up."""
        if measured := checkpoint.get("measured"):
            meter = self.meters["train"]
            meter.sizes, meter.values, self._reported = measured["sizes"], measured["values"], measured["reported"]

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self.meters["val"] = Meter()
        if self.watching:
            self.collections["val"].reset()

    def on_test_epoch_end(self) -> None:
        """Tell Lightning the test metrics, and collect the predictions of all processes."""
        self.publish("test")
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            gathered: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(gathered, self.predictions)
            self.predictions = [batch for batches in gathered for batch in batches]

    def recent(self) -> dict[str, float]:
        """Return the training metrics since it was asked last in this epoch."""
        means = self.meters["train"].means(self._reported)
        self._reported = len(self.meters["train"].sizes)
        return {f"train/{name}": value for name, value in metrics(self.task, means, self.unit).items()}

    def losses(self) -> list[float]:
        """Return the training loss of each batch of this epoch."""
        return self.meters["train"].losses()

    def publish(self, part: str) -> dict[str, float]:
        """Hand the metrics of a whole part to Lightning, whose callbacks read them; return them."""
        if not self.meters[part].sizes:
            return {}
        means = metrics(self.task, self.meters[part].means(), self.unit)
        values = {f"{part}/{name}": value for name, value in means.items()}
        if self.watching and part != "train":
            values |= {name: float(value) for name, value in self.collections[part].compute().items()}
        # What `log_dict` would end in, without its millisecond.
        self.trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})
        return values

    def step_plateau(self, score: float) -> None:
        """Step a scheduler that reads the score: Lightning would do so only after the checkpoint."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(score)
