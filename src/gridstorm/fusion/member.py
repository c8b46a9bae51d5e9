"""One run of a group that trains together: it sees of the group's Trainer what would be its own in a run alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer import call
from pytorch_lightning.trainer.connectors.checkpoint_connector import _CheckpointConnector
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from gridstorm.config import Composed
from gridstorm.fusion.stack import Stack, copied, fast
from gridstorm.record import Record
from gridstorm.run import Meter, Module, Recorder, conclude, curve_for, loaded
from gridstorm.target import build


class Meters(Meter):
    """Means over batches for K runs at once: each quantity of a batch is a tensor [K]."""

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[tuple[int, int], list[list[float]]] = ((0, 0), [])

    def table(self, first: int) -> list[list[float]]:
        """Return the means of each run's quantities over the batches from number `first` on."""
        if self._known[0] != (first, len(self.sizes)):
            weights = torch.tensor(self.sizes[first:], dtype=torch.float64)
            columns = [torch.stack(column).double().cpu() for column in zip(*self.values[first:], strict=True)]
            means = torch.stack([weights @ column for column in columns], 1) / weights.sum()
            self._known = (first, len(self.sizes)), means.tolist()
        return self._known[1]


class Column(Meter):
    """What a run reads of the means of all."""

    def __init__(self, meters: Meters, number: int) -> None:
        self.meters, self.number = meters, number
        self.sizes = meters.sizes

    def means(self, first: int = 0) -> list[float]:
        """Return the run's means over the batches from number `first` on."""
        return self.meters.table(first)[self.number]


class Saver(_CheckpointConnector):
    """Puts a run's checkpoint together as Lightning does for a run alone."""

    def __init__(self, member: "Member") -> None:
        super().__init__(member)  # type: ignore[arg-type]  # it stands for a Trainer
        self.member = member

    def _get_lightning_module_state_dict(self) -> dict[str, Tensor]:
        return self.member.stack.state(self.member.number)

    def _get_loops_state_dict(self) -> dict[str, Any]:
        return self.member.trainer.lightning_module.loops  # type: ignore[return-value]  # the group's


class Member:
    """One run of a group, in the place of its Trainer: what is not its own is the group's Trainer's.

    Args:
        composed: The run's configuration.
        record: Its directory.
        module: Its module.
        data: Its data module.
        trainer: The group's.
    """

    stack: Stack
    number: int  # its row in the stack
    time_to_save = True  # whether the group saves at this epoch's end
    current_epoch: int  # set where it leaves the group

    def __init__(self, composed: Composed, record: Record, module: Module, data: Any, trainer: pl.Trainer) -> None:
        self.composed, self.record, self.data, self.trainer = composed, record, data, trainer
        self.module = self.lightning_module = module
        module.trainer = self  # type: ignore[assignment]
        self.curve = curve_for(composed, record, module)
        built = [self.curve, *map(build, (composed.config["callbacks"] or {}).values())]
        kept = [one for one in built if not isinstance(one, pl.callbacks.ProgressBar)]
        self.callbacks = sorted(kept, key=lambda one: isinstance(one, pl.callbacks.Checkpoint))  # as Lightning's are
        self.callback_metrics: dict[str, Tensor] = {}
        self.loggers = [Recorder(record, lambda: self.curve.counters(self))]  # type: ignore[arg-type]  # it stands for a Trainer
        self.should_stop = False
        self.saved = self._load()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer, name)

    def _load(self) -> dict[str, Any]:
        """Take up the last checkpoint, if there is one, but for its tensors; return it."""
        call._call_callback_hooks(self, "setup", stage="fit")  # type: ignore[arg-type]
        file = self.record.last_checkpoint
        saved: dict[str, Any] = loaded(file) if file else {}
        if saved:
            call._call_callbacks_on_load_checkpoint(self, saved)  # type: ignore[arg-type]
            call._call_callbacks_load_state_dict(self, saved)  # type: ignore[arg-type]
        return saved

    def place(self, like: Tensor) -> None:
        """Move the run's tensors to the device and the precision of `like`, and take up their last values."""
        self.module.to(device=like.device, dtype=like.dtype)
        if self.saved:
            self.module.load_state_dict(self.saved["state_dict"])

    def configure(self, stack: Stack, number: int) -> None:
        """Make the optimizer of the run's row and its scheduler, and take up their last state."""
        self.stack, self.number = stack, number
        flags = fast(self.module.make_optimizer, stack.flat)
        told = self.module.configured(stack.groups(number), **flags)
        self.optimizer: Optimizer = told["optimizer"]
        self.told = told["lr_scheduler"]
        self.scheduler = self.told["scheduler"]
        self.lr_scheduler_configs = [LRSchedulerConfig(self.scheduler)]
        # The group's optimizer takes the steps, which the scheduler would miss.
        self.optimizer._opt_called = True
        self.alone = {name: self.module.make_optimizer.keywords.get(name) for name in flags}  # type: ignore[attr-defined]
        if self.saved:
            self.optimizer.load_state_dict(stack.together(self.saved["optimizer_states"][0], flags))
            self.scheduler.load_state_dict(self.saved["lr_schedulers"][0])
            self.saved = {}

    @property
    def optimizers(self) -> list[Any]:
        """What a checkpoint holds the state of."""
        return [self]

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the optimizer's state as that of a run alone."""
        own = self.optimizer.state_dict()
        state = {number: {key: copied(value) for key, value in row.items()} for number, row in own["state"].items()}
        return self.stack.apart({**own, "state": state}, self.alone)

    def save_checkpoint(self, path: Path, weights_only: bool = False) -> None:
        """Write a checkpoint from which the run can go on, alone or in a group."""
        torch.save(Saver(self).dump_checkpoint(weights_only), path)

    @property
    def due(self) -> bool:
        """Whether a checkpoint is written at this epoch's end: at the run's last one in any case."""
        epochs, steps = self.trainer.max_epochs or 0, self.trainer.max_steps
        over = self.trainer.current_epoch + 1 >= epochs > 0 or 0 < steps <= self.trainer.global_step
        return self.time_to_save or self.should_stop or over

    def snapshot(self) -> dict[str, Any]:
        """Return what `save_checkpoint` would write, as it is now."""
        return Saver(self).dump_checkpoint(False)

    def log_step(self) -> None:
        """Log a point within an epoch."""
        self.curve.log_step(self, self.module)  # type: ignore[arg-type]  # it stands for a Trainer

    def tell(self, event: str) -> None:
        """Tell the run's callbacks and its module, in the order in which Lightning does at an epoch's end."""
        call._call_callback_hooks(self, event, monitoring_callbacks=False)  # type: ignore[arg-type]
        getattr(self.module, event)()
        call._call_callback_hooks(self, event, monitoring_callbacks=True)  # type: ignore[arg-type]

    def conclude(self, alerts: Sequence[str] = ()) -> None:
        """Write down what came out, and what was warned of in the group."""
        over = self.module.current_epoch >= (self.trainer.max_epochs or 0)
        conclude(self.composed, self.curve, self.module, self.data, {}, None if over else self.curve.why, alerts)
