"""What stands between Lightning and a run: its private names, each with its gain, its logger and its profiler.

Gains are shares of a step's time (`bench.step`: 64 digits, a small perceptron), pytorch-lightning 2.5 and 2.6. Without
all three of them a step takes 1.9 times the bare loop's time instead of 1.45.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import Any


@contextmanager
def without_signals() -> Iterator[None]:
    """Let an empty module stand for scipy.signal: torchmetrics imports it for one old name, a sixth of a start's time.

    What imports it later has the real one.
    """
    name = "scipy.signal"
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.hamming = None  # type: ignore[attr-defined]  # the name that it is imported for
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        sys.modules.pop(name, None)
        vars(sys.modules.get("scipy", stand_in)).pop("signal", None)


with without_signals():
    import pytorch_lightning as pl

import torch
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.trainer import call
from pytorch_lightning.trainer.connectors.checkpoint_connector import _CheckpointConnector
from torch import Tensor

from gridstorm.record import COUNTERS, RunRecord

TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
HOOKS = (*TRANSFER, "teardown", "state_dict", "load_state_dict", "on_exception")  # which a group does not call


def hooks(data: Any, names: Sequence[str]) -> list[str]:
    """Return those of Lightning's hooks that a data module has of its own."""
    own = {name: getattr(type(data), name, None) for name in names}
    return [name for name, hook in own.items() if hook not in (None, getattr(pl.LightningDataModule, name))]


class LightModule(pl.LightningModule):
    """A LightningModule that skips the per-step work Lightning does for features we do not use."""

    has_pairs = True  # whether each batch is a pair of tensors
    _hooked: bool | None = None  # whether the data module has hooks on a batch's way

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; the hook's name, which Lightning sets some forty times a step, without torch's checks."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        """Call Lightning's hooks on a batch's way to the device only where the data module has some."""
        return super()._on_before_batch_transfer(batch, dataloader_idx) if self._has_hooks() else batch

    def _apply_batch_transfer_handler(
        self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0
    ) -> Any:
        """Move a batch that is not on the device yet, with the hooks that the data module has."""
        if self._has_hooks() or not self.has_pairs:
            return super()._apply_batch_transfer_handler(batch, device, dataloader_idx)
        return tuple(tensor.to(device or self.device) for tensor in batch)

    def _has_hooks(self) -> bool:
        if self._hooked is None:
            self.__dict__["_hooked"] = bool(hooks(self.trainer.datamodule, TRANSFER))  # type: ignore[attr-defined]
        return bool(self._hooked)


class Recorder(Logger):
    """Hands what Lightning logs to the run's record, which is also where Lightning puts its checkpoints."""

    def __init__(self, record: RunRecord, counters: Callable[[], dict[str, float]]) -> None:
        """Take the record, and what returns the counters of a point for what comes without them."""
        super().__init__()
        self.record, self.counters = record, counters

    @property
    def name(self) -> str:
        """The name of the run's directory."""
        return self.record.directory.name

    @property
    def version(self) -> str:
        """Empty: a run's directory is not versioned."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder that holds the run's directory."""
        return str(self.record.directory.parent)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write a point of the curves: one of ours, or what `self.log` was given, to which Lightning adds the epoch."""
        if metrics.keys() >= {*COUNTERS}:
            values = {name: value for name, value in metrics.items() if name not in COUNTERS}
            self.record.log({name: metrics[name] for name in COUNTERS}, values)
            return
        logged = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        if logged:
            named = {f"logged/{name}" if name in COUNTERS else name: value for name, value in logged.items()}
            self.record.log(self.counters(), named)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the record holds the configuration from the start."""


class NoProfiler(PassThroughProfiler):
    """Profiles nothing, without a new context for each of the twenty hooks of a step."""

    NOTHING = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """Return a context that does nothing."""
        return self.NOTHING


class CheckpointWriter(_CheckpointConnector):
    """Puts a run's checkpoint together as Lightning does for a run alone: publicly only a whole Trainer can."""

    def __init__(
        self, trainer: Any, weights: Callable[[], dict[str, Tensor]], loops: Callable[[], dict[str, Any]]
    ) -> None:
        """Take what stands for the run's Trainer, and what returns its weights and the state of its loops."""
        super().__init__(trainer)
        self.weights, self.loops = weights, loops

    def _get_lightning_module_state_dict(self) -> dict[str, Tensor]:
        return self.weights()

    def _get_loops_state_dict(self) -> dict[str, Any]:
        return self.loops()


def loops_of(trainer: pl.Trainer) -> dict[str, Any]:
    """Return the state of a Trainer's loops, as its checkpoints hold it."""
    return trainer._checkpoint_connector._get_loops_state_dict()


def logged_metrics(trainer: pl.Trainer) -> dict[str, Any]:
    """Return what was logged in the last epochs of training and validation, each metric as it was given."""
    loops = (trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_loop.val_loop)
    given = {
        result.meta.name: result.value
        for loop in loops
        for result in loop._results.values()
        if not result.is_tensor  # of a number, the value says nothing more
    }
    return {name: given.get(name, value) for name, value in trainer.callback_metrics.items()}


def restart_loader(trainer: pl.Trainer) -> None:
    """Begin the epoch's pass over the training data anew: that of a resumed run was begun before its seed was set."""
    iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]  # it is there once the training has begun


def can_stop_early(trainer: pl.Trainer) -> bool:
    """Tell whether training has gone on for as long as `min_epochs` and `min_steps` ask."""
    return bool(trainer.fit_loop._can_stop_early)


def call_callbacks(trainer: Any, event: str, monitoring: bool | None = None, **arguments: Any) -> None:
    """Call a hook of the callbacks of what stands for a Trainer; `monitoring`: of those that monitor, or the others."""
    call._call_callback_hooks(trainer, event, monitoring_callbacks=monitoring, **arguments)


def load_callbacks(trainer: Any, checkpoint: dict[str, Any]) -> None:
    """Let the callbacks of what stands for a Trainer take up a checkpoint."""
    call._call_callbacks_on_load_checkpoint(trainer, checkpoint)
    call._call_callbacks_load_state_dict(trainer, checkpoint)
