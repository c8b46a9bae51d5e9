"""One run of a fused group: to its callbacks it looks like a Trainer of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import LRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from gridstorm.config import RunConfig
from gridstorm.fusion.stack import Stack, copied, fast
from gridstorm.module import CheckpointWriter, Meter, Module, Recorder, call_callbacks, load_callbacks
from gridstorm.objects import loaded
from gridstorm.record import RunRecord
from gridstorm.run import adopt, conclude, curve_for, is_parents
from gridstorm.target import build


class Meters(Meter):
    """Means over batches for K runs at once: each quantity of a batch is a tensor [K]."""

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[tuple[int, int], list[list[Any]]] = ((0, 0), [])
        self._losses: tuple[int, list[list[float]]] = (0, [])

    def table(self, first: int) -> list[list[Any]]:
        """Return the means of each run's quantities over the batches from number `first` on."""
        if self._known[0] != (first, len(self.sizes)):
            weights = torch.tensor(self.sizes[first:], dtype=torch.float64)
            columns = [torch.stack(column).double().cpu() for column in zip(*self.values[first:], strict=True)]
            sums = [(weights @ column.flatten(1)).view(column.shape[1:]) for column in columns]
            means = [(total / weights.sum()).tolist() for total in sums]
            self._known = (first, len(self.sizes)), [[*row] for row in zip(*means, strict=True)]
        return self._known[1]

    def curves(self) -> list[list[float]]:
        """Return the losses of each run, one for each batch."""
        if self._losses[0] != len(self.sizes):
            values = torch.stack([values[0] for values in self.values], 1).tolist() if self.values else []
            self._losses = len(self.sizes), values
        return self._losses[1]


class Column(Meter):
    """What a run reads of the means of all."""

    def __init__(self, meters: Meters, number: int) -> None:
        self.meters, self.number = meters, number
        self.sizes = meters.sizes

    def means(self, first: int = 0) -> list[Any]:
        """Return the run's means over the batches from number `first` on."""
        return self.meters.table(first)[self.number]

    def losses(self) -> list[float]:
        """Return the run's loss of each batch."""
        return self.meters.curves()[self.number]


class Member:
    """One run of a group, in the place of its Trainer: what is not its own is the group's Trainer's.

    Args:
        config: The run's configuration.
        record: Its directory.
        module: Its module.
        data: Its data module.
        trainer: The group's.
    """

    stack: Stack
    number: int  # its row in the stack
    time_to_save = True  # whether the group saves at this epoch's end
    current_epoch: int  # set where it leaves the group

    def __init__(self, config: RunConfig, record: RunRecord, module: Module, data: Any, trainer: pl.Trainer) -> None:
        self.config, self.record, self.data, self.trainer = config, record, data, trainer
        self.module = self.lightning_module = module
        module.trainer = self  # type: ignore[assignment]
        self.curve = curve_for(config, record, module)
        built = [self.curve, *map(build, (config.values["callbacks"] or {}).values())]
        kept = [callback for callback in built if not isinstance(callback, pl.callbacks.ProgressBar)]
        self.callbacks = sorted(
            kept, key=lambda callback: isinstance(callback, pl.callbacks.Checkpoint)
        )  # as Lightning's are
        self.callback_metrics: dict[str, Tensor] = {}
        self.loggers = [Recorder(record, lambda: self.curve.counters(self))]  # type: ignore[arg-type]  # it stands for a Trainer
        self.should_stop = False
        self._writer = CheckpointWriter(self, lambda: self.stack.state(self.number), self._loops)
        self.saved = self._load()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer, name)

    def _load(self) -> dict[str, Any]:
        """Take up the last checkpoint, if there is one, but for its tensors; return it."""
        call_callbacks(self, "setup", stage="fit")
        file = self.record.last_checkpoint
        saved: dict[str, Any] = loaded(file) if file else {}
        if saved:
            load_callbacks(self, saved)
        return saved

    def _loops(self) -> dict[str, Any]:
        """Return the state of the group's loops, which are the run's too."""
        return self.trainer.lightning_module.loops  # type: ignore[return-value]  # the group has them

    def place(self, like: Tensor) -> None:
        """Move the run's tensors to the device and the precision of `like`, and take up their last values."""
        self.module.to(device=like.device, dtype=like.dtype)
        if self.saved:
            self.module.load_state_dict(self.saved["state_dict"])

    def configure(self, stack: Stack, number: int) -> None:
        """Make the optimizer of the run's row and its scheduler, and take up their last state."""
        self.stack, self.number = stack, number
        flags = fast(self.module.make_optimizer, stack.flat)
        configured = self.module.configured(stack.groups(number), **flags)
        self.optimizer: Optimizer = configured["optimizer"]
        self.told = configured["lr_scheduler"]
        self._use(self.told["scheduler"])
        # The group's optimizer takes the steps, which the scheduler would miss.
        self.optimizer._opt_called = True
        self.alone = {name: self.module.make_optimizer.keywords.get(name) for name in flags}  # type: ignore[attr-defined]
        if self.saved:
            if is_parents(self.saved, self.config):
                self._use(*adopt(self.saved, self.config, self.module, [self], [self.scheduler]))
            self.optimizer.load_state_dict(stack.to_row_state(self.saved["optimizer_states"][0], flags))
            self.scheduler.load_state_dict(self.saved["lr_schedulers"][0])
            self.saved = {}

    def _use(self, scheduler: Any) -> None:
        self.scheduler = self.told["scheduler"] = scheduler
        self.lr_scheduler_configs = [LRSchedulerConfig(scheduler)]

    @property
    def optimizers(self) -> list[Any]:
        """What a checkpoint holds the state of."""
        return [self]

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the optimizer's state as that of a run alone."""
        own = self.optimizer.state_dict()
        state = {number: {key: copied(value) for key, value in row.items()} for number, row in own["state"].items()}
        return self.stack.to_run_state({**own, "state": state}, self.alone)

    def save_checkpoint(self, path: Path, weights_only: bool = False) -> None:
        """Write a checkpoint from which the run can go on, alone or in a group."""
        torch.save(self._writer.dump_checkpoint(weights_only), path)

    @property
    def due(self) -> bool:
        """Whether a checkpoint is written at this epoch's end: at the run's last one in any case."""
        epochs, steps = self.trainer.max_epochs or 0, self.trainer.max_steps
        over = self.trainer.current_epoch + 1 >= epochs > 0 or 0 < steps <= self.trainer.global_step
        return self.time_to_save or self.should_stop or over

    def snapshot(self) -> dict[str, Any]:
        """Return what `save_checkpoint` would write, as it is now."""
        return self._writer.dump_checkpoint(False)

    def log_step(self) -> None:
        """Log a point within an epoch."""
        self.curve.log_step(self, self.module)  # type: ignore[arg-type]  # it stands for a Trainer

    def tell(self, event: str) -> None:
        """Tell the run's callbacks and its module, in the order in which Lightning does at an epoch's end."""
        call_callbacks(self, event, monitoring=False)
        getattr(self.module, event)()
        call_callbacks(self, event, monitoring=True)

    def conclude(self, alerts: Sequence[str] = ()) -> None:
        """Write down what came out, and what was warned of in the group."""
        over = self.module.current_epoch >= (self.trainer.max_epochs or 0)
        conclude(self.config, self.curve, self.module, self.data, {}, None if over else self.curve.why, alerts)
