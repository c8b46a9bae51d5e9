"""The one LightningModule of many runs: their networks are stacked, their epochs are each run's own.

Every run keeps its own module, callbacks and record (`Member`). Shared are the passes through the network, forward and
backward, and the optimizer's step.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gridstorm.fusion.ensemble import Ensemble
from gridstorm.fusion.member import Column, Member, Meters
from gridstorm.fusion.stack import adopt_groups, merged
from gridstorm.module import Batch, LightModule, can_stop_early, learning_rates, loops_of
from gridstorm.run import Layers, epoch_seed

SAVE_SECONDS = 2.0  # between two checkpoints of each run at least: what a group that is killed trains again
SAVE_SHARE = 0.05  # of its time that a group may take to save


class Zipped:
    """The batches of S loaders side by side: x [S, B, ...] and y [S, B, ...]."""

    batch_sampler = None  # Lightning asks for it wherever there is a `sampler`.

    def __init__(self, loaders: Sequence[Any], pair: Callable[[Any], Batch]) -> None:
        """Take the loaders, and what finds input and target in one of their batches."""
        self.loaders, self.pair = [*loaders], pair

    @property
    def sampler(self) -> Any:
        """What Lightning calls `set_epoch` on, and looks at to see whether the order is shuffled."""
        own = getattr(self.loaders[0], "sampler", self)
        return self if hasattr(own, "set_epoch") else own

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch."""
        for loader in self.loaders:
            loader.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Batch]:
        for batches in zip(*self.loaders, strict=True):
            pairs = zip(*map(self.pair, batches), strict=True)
            x, y = (torch.stack(parts) if len(parts) > 1 else parts[0][None] for parts in pairs)
            yield x, y


class Schedulers:
    """The schedulers of all runs, which Lightning steps where it would step each of them."""

    def __init__(self, optimizer: Optimizer, members: list[Member]) -> None:
        self.optimizer, self.members = optimizer, members

    def step(self) -> None:
        """Step each of them."""
        for member in self.members:
            member.module.lr_scheduler_step(member.scheduler, None)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: each run's checkpoint holds its own."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load nothing."""


class Group(LightModule):
    """Trains K runs together.

    Args:
        members: The runs.
        batches: The distinct training batches.
        sources: Which of these each run sees [K].
    """

    strict_loading = False
    alerts: Sequence[str] = ()  # what was warned of so far

    def __init__(self, members: list[Member], batches: Zipped, sources: Sequence[int]) -> None:
        super().__init__()
        self.members, self.batches = members, batches
        self.ensemble = Ensemble([member.module for member in members], sources)
        self.whole = self.ensemble.whole  # registered: Lightning moves it to the device
        self.meters = {"train": Meters(), "val": Meters()}
        self._added = False
        self._due: list[Member] = []  # whose layers are looked at in this step
        self._saved, self._pause = time.monotonic(), SAVE_SECONDS

    def configure_optimizers(self) -> Any:
        """Stack the runs, and return what steps all of them."""
        for member in self.members:
            member.place(self.ensemble.like)
        self.ensemble.build(next(iter(self.batches)))
        for number, member in enumerate(self.members):
            member.configure(self.ensemble.stack, number)
        self.optimizer = merged([member.optimizer for member in self.members])
        configured = {**self.members[0].told, "scheduler": Schedulers(self.optimizer, self.members)}
        return {"optimizer": self.optimizer, "lr_scheduler": configured}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the sum of what the runs minimise, in which the gradient of each is its own."""
        return self._passed("train", batch).sum() + self.ensemble.penalty()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        self._passed("val", batch)
        for member, *seen in zip(self.members, *self.ensemble.last, strict=True) if self.ensemble.last else ():
            member.module.watch("val", *seen)

    def _passed(self, part: str, batch: Batch) -> Tensor:
        losses, values = self.ensemble(batch)
        self.meters[part].add(batch[0].shape[1], values)
        return losses

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Bring the gradients to the rows that the optimizer steps."""
        stack = self.ensemble.stack
        gradients = torch.autograd.grad(loss, [*stack.parameters.values()])
        for slope, gradient in zip(stack.gradient_views, gradients, strict=True):
            (slope.add_ if self._added else slope.copy_)(gradient)
        self._added = True

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        """Let the next gradients take the place of these."""
        self._added = False

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradients of each run, as `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` do for one."""
        gradients = self.ensemble.stack.gradients
        if gradient_clip_val is not None and gradient_clip_algorithm == "value":
            gradients.clamp_(-gradient_clip_val, gradient_clip_val)
        elif gradient_clip_val is not None:
            norms = gradients.norm(dim=1, keepdim=True)
            gradients.mul_((gradient_clip_val / (norms + 1e-6)).clamp(max=1.0))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the schedulers."""
        scheduler.step()

    # Lightning calls the hooks below once for the group: each hands them on, or its runs' callbacks would see nothing.

    def on_train_start(self) -> None:
        """Start the clocks, and let go who was asked to stop meanwhile."""
        for member in self.members:
            member.tell("on_train_start")
        self._let_go(self.current_epoch)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's random numbers and means."""
        self.__dict__.pop("loops", None)
        self._begin("train", "on_train_epoch_start")
        self.ensemble.streams.seed([epoch_seed(member.module.seed, self.current_epoch) for member in self.members])

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Look at the step that is about to be taken, where a point of the curves follows."""
        if self.members[0].curve.is_point(self.trainer):
            norms = self.ensemble.stack.gradients.norm(dim=1).tolist()
            for member, norm in zip(self.members, norms, strict=True):
                member.curve.step_info = {**learning_rates(member.optimizer), "opt/grad_norm": norm}
            self._due = [member for member in self.members if member.curve.layers_are_due()]
            if self._due:
                gradients = self.ensemble.stack.named_gradients
                self.layers.before(self._weights(), [gradients.get(key) for key in self.layers.keys])

    @property
    def layers(self) -> Layers:
        """What looks at the layers of all runs: they have the same ones."""
        assert self.members[0].curve.layers is not None, "The training has not begun."
        return self.members[0].curve.layers

    def _weights(self) -> list[Tensor]:
        stack = self.ensemble.stack
        return [stack.parameters[key] if key in stack.parameters else stack.frozen[key] for key in self.layers.keys]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log a point within a long epoch."""
        if self.layers.is_between:
            for member, values in zip(self.members, self.layers.after(self._weights()), strict=True):
                if member in self._due:
                    member.curve.add_layers(self.trainer, values)
        point = self.members[0].curve.is_point(self.trainer) and not self.trainer.is_last_batch
        for member in self.members:
            member.curve.progress["samples"] += batch[0].shape[1]
            if point:
                member.log_step()

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self._begin("val", "on_validation_epoch_start")

    def on_validation_epoch_end(self) -> None:
        """Tell each run its metrics."""
        for member in self.members:
            member.tell("on_validation_epoch_end")

    def on_validation_end(self) -> None:
        """Let those callbacks look that look after each validation."""
        for member in self.members:
            member.tell("on_validation_end")

    def on_train_epoch_end(self) -> None:
        """Let each run log, save, judge and stop; those that stop leave the others."""
        started = time.monotonic()
        due = started - self._saved >= self._pause
        for member in self.members:
            member.time_to_save = due
            member.tell("on_train_epoch_end")
        if due:
            self._saved = time.monotonic()
            self._pause = max(SAVE_SECONDS, (self._saved - started) / SAVE_SHARE)
        self.trainer.callback_metrics.update(self.members[0].callback_metrics)
        self._let_go(self.current_epoch + 1)

    def _begin(self, part: str, event: str) -> None:
        self.meters[part] = Meters()
        for number, member in enumerate(self.members):
            getattr(member.module, event)()
            member.module.meters[part] = Column(self.meters[part], number)

    def _let_go(self, epochs: int) -> None:
        """Conclude the runs that stop after this many epochs, and go on with the others."""
        stay = [number for number, member in enumerate(self.members) if not member.should_stop]
        if len(stay) == len(self.members) or not can_stop_early(self.trainer):
            return
        if not stay:
            self.trainer.should_stop = True
            return
        for member in self.members:
            if member.should_stop:
                member.current_epoch = epochs
                member.conclude(self.alerts)
        self.members[:] = [self.members[number] for number in stay]
        self.ensemble.keep(stay)
        for number, member in enumerate(self.members):
            member.number = number
        adopt_groups(self.optimizer, [member.optimizer for member in self.members])

    @cached_property
    def loops(self) -> dict[str, Any]:
        """The state of Lightning's loops, which each run's checkpoint holds."""
        return loops_of(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the state of the loops alone: each run has loaded its own already."""
        checkpoint |= {"state_dict": {}, "optimizer_states": [], "lr_schedulers": [], "callbacks": {}}
