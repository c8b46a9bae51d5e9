"""The best and the last state of a run, each written whole or not at all."""

import math
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint as LightningCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerFn

TEMPORARY = ".gridstorm-"  # begins the name of a file that is not finished, as everywhere in a record


class Checkpoint(LightningCheckpoint):
    """Saves `last.ckpt` at each epoch's end, and as `best.ckpt` too whenever the score is the best so far.

    One file is written an epoch, beside its place, and renamed: a crash leaves the one before. The best is a second
    name of the same file.
    """

    def __init__(
        self, monitor: str, mode: Literal["min", "max"], every_n_steps: int | None = None, every: int | None = None
    ) -> None:
        """Take the metric that decides which state is the best, and whether it is better when smaller (`min`).

        With `every` the state after each so many epochs is kept as `epoch-EPOCH.ckpt`: a branch can begin there.
        With `every_n_steps` `last.ckpt` is saved within an epoch too; a ValueError where the training's loader has no
        `state_dict`, from which it could go on there.
        """
        self.monitor, self.mode, self.every_n_steps, self.every = monitor, mode, every_n_steps, every
        self.best_score: float | None = None
        self._kept: dict[str, Any] | None = None  # the best state, where it is not written yet
        self._before: list[Any] = []  # the states of the loaders, after the batch before
        self._saved = 0  # the step that was saved within an epoch

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Have files written where they belong; Lightning writes to memory, to a temporary folder, and then there."""
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = DirectCheckpointIO()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """See that a run can go on within an epoch, where it is to be saved there."""
        if self.every_n_steps and not all(hasattr(loader, "state_dict") for loader in _loaders(trainer)):
            raise ValueError(
                f"callbacks.checkpoint.every_n_steps={self.every_n_steps} saves within an epoch, and the loader of the "
                "training has no state_dict to go on from there. Leave it out, or give one that has, such as "
                "data=loaders with data.stateful=true."
            )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the state within an epoch, where that was asked for."""
        if not self.every_n_steps or trainer.is_last_batch:
            return
        step = trainer.global_step
        if step % self.every_n_steps == 0 and step > self._saved:
            self._saved = step
            self._write(trainer, better=False, within=True)
        # Of a stream Lightning reads a batch ahead to see its end: the state before that is where to go on.
        ahead = math.isinf(trainer.num_training_batches)
        self._before = [loader.state_dict() for loader in _loaders(trainer)] if ahead else []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the loaders' states there that belong to the last batch that was trained with."""
        loop = checkpoint.get("loops", {}).get("fit_loop", {}).get("state_dict", {})
        if self._before and "combined_loader" in loop and not trainer.is_last_batch:
            loop["combined_loader"] = self._before

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best state inside an epoch too, where it is validated there; a run goes on from ends of epochs."""
        inside = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking and not trainer.is_last_batch
        if inside and self._is_better(float(trainer.callback_metrics.get(self.monitor, math.nan))):
            directory = self._directory(trainer)
            beside = directory / f"{TEMPORARY}best.{os.getpid()}"
            beside.unlink(missing_ok=True)
            _save(trainer, beside)
            if trainer.is_global_zero:
                beside.replace(directory / "best.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the state; of a run that trains with many others, whose `due` says so, only once in a while."""
        better = self._is_better(float(trainer.callback_metrics.get(self.monitor, math.nan)))
        keeps = bool(self.every) and (trainer.current_epoch + 1) % (self.every or 1) == 0
        if getattr(trainer, "due", True) or keeps:
            self._write(trainer, better)
            if keeps and trainer.is_global_zero:
                folder = self._directory(trainer)
                _link(folder / "last.ckpt", folder / f"epoch-{trainer.current_epoch + 1}.ckpt")
        elif better:
            self._kept = trainer.snapshot()  # type: ignore[attr-defined]

    def _write(self, trainer: pl.Trainer, better: bool, within: bool = False) -> None:
        directory = self._directory(trainer)
        beside, last, best = (
            directory / f"{TEMPORARY}last.{os.getpid()}",
            directory / "last.ckpt",
            directory / "best.ckpt",
        )
        beside.unlink(missing_ok=True)
        if self._kept and not better and not within:
            torch.save(self._kept, beside)
            beside.replace(best)
        self._kept = self._kept if within else None
        beside.unlink(missing_ok=True)  # a link there would lead elsewhere
        _save(trainer, beside)
        if trainer.is_global_zero:
            if better:
                _link(beside, best)
            beside.replace(last)

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, so that a run that goes on keeps its best checkpoint."""
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best score."""
        self.best_score = state_dict["best_score"]

    def _is_better(self, score: float) -> bool:
        best = self.best_score
        better = best is None or (score < best if self.mode == "min" else score > best)
        if better and math.isfinite(score):
            self.best_score = score
            return True
        return False

    @staticmethod
    def _directory(trainer: pl.Trainer) -> Path:
        """Return where Lightning's own checkpoints would go: a folder of the first logger's."""
        logger = trainer.loggers[0] if trainer.loggers else None
        home = Path(str(logger.save_dir), str(logger.name)) if logger else Path(trainer.default_root_dir)
        (home / "checkpoints").mkdir(parents=True, exist_ok=True)
        return home / "checkpoints"


class DirectCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint straight to the given path; the callback passes a temporary file and renames it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`, whose folder is made where it is missing: other callbacks save here too."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, path)


def _loaders(trainer: pl.Trainer) -> list[Any]:
    """Return the loaders of the training."""
    loader: Any = trainer.train_dataloader
    return [loader] if loader is not None and not isinstance(loader, list | tuple) else [*(loader or [])]


def _save(trainer: pl.Trainer, file: Path) -> None:
    """Save the state; where that fails, as on a full disk, nothing half written is left."""
    try:
        trainer.save_checkpoint(file, weights_only=False)
    except Exception:
        file.unlink(missing_ok=True)
        raise


def _link(source: Path, target: Path) -> None:
    """Give a file a second name in the same folder, or a copy where the file system has no links."""
    beside = target.with_name(f"{TEMPORARY}{target.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        beside.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, beside)
    beside.replace(target)
