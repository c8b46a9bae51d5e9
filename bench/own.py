"""A LightningModule and data of a user's own: what gridstorm costs beside Lightning alone.

    python -m bench.own

The module is of the usual kind: two `self.log` and two metrics of torchmetrics a step, in DataLoaders. Lightning alone
has its TensorBoardLogger, a ModelCheckpoint of the best and the last epoch, and its progress bar; gridstorm does what
`python train.py model=bench.own.Usual` does. The clock runs from the start to the end of the training, in wall time
(workers are processes of their own), each in turns; set-up and the batch that is tried before are not in it.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from bench.compare import composed, machine
from bench.step import Screen
from gridstorm.objects import quiet
from gridstorm.report import table
from gridstorm.run import run

TURNS = 7
TARGET = 1.05
BATCH, SAMPLES, EPOCHS = 64, 6_400, 5
SETTINGS = ("threads=1", f"trainer.max_epochs={EPOCHS}", "trainer.accelerator=cpu")
CLOCK = "+callbacks.clock._target_=bench.own.Clock"


class Clock(pl.Callback):
    """Measures the training, whoever starts it."""

    seconds: list[float] = []  # noqa: RUF012  # of all trainings of the process

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start."""
        self.started = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        Clock.seconds.append(time.perf_counter() - self.started)


class Usual(pl.LightningModule):
    """As the usual template has it."""

    def __init__(self, lr: float = 0.001, width: int = 128) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )
        self.loss = nn.CrossEntropyLoss()
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.train_accuracy, self.val_accuracy = MulticlassAccuracy(10), MulticlassAccuracy(10)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss, and log it with the accuracy."""
        loss, predicted, y = self.predict(batch)
        self.train_loss(loss)
        self.train_accuracy(predicted, y)
        self.log("train/loss", self.train_loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the validation metrics."""
        loss, predicted, y = self.predict(batch)
        self.val_loss(loss)
        self.val_accuracy(predicted, y)
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("val/accuracy", self.val_accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def predict(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, the predicted classes and the true ones."""
        x, y = batch
        logits = self.network(x)
        return self.loss(logits, y), logits.argmax(1), y

    def configure_optimizers(self) -> Any:
        """Return the optimizer."""
        return torch.optim.Adam(self.parameters(), self.hparams["lr"])


def numbers(seed: int, samples: int = SAMPLES) -> Dataset[Any]:
    """Random images, so that a step is short and what is around it shows."""
    draw = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.randn(samples, 64, generator=draw), torch.randint(10, (samples,), generator=draw))


class Numbers(pl.LightningDataModule):
    """Numbers in DataLoaders."""

    def __init__(self, num_workers: int = 0) -> None:
        super().__init__()
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled."""
        return DataLoader(numbers(0), BATCH, shuffle=True, **self.settings())

    def val_dataloader(self) -> DataLoader[Any]:
        """In order."""
        return DataLoader(numbers(1, SAMPLES // 10), BATCH, **self.settings())

    def settings(self) -> dict[str, Any]:
        """Workers that live on, where there are any."""
        return {"num_workers": self.num_workers, "persistent_workers": bool(self.num_workers)}


def alone(workers: int, lr: float = 0.001) -> None:
    """Train with Lightning alone."""
    torch.set_num_threads(1)
    pl.seed_everything(0, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        saving = ModelCheckpoint(Path(folder), monitor="val/loss", save_last=True)
        trainer = pl.Trainer(
            max_epochs=EPOCHS,
            accelerator="cpu",
            devices=1,
            logger=TensorBoardLogger(folder),
            callbacks=[saving, TQDMProgressBar(), Clock()],
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Usual(lr), datamodule=Numbers(workers))


def with_gridstorm(workers: int, lr: float = 0.001) -> None:
    """Train the same as a choice of ours."""
    with tempfile.TemporaryDirectory() as folder:
        choices = ("data=bench.own.Numbers", f"data.num_workers={workers}", "model=bench.own.Usual", f"model.lr={lr}")
        run(composed(*choices, *SETTINGS, CLOCK, f"output_dir={folder}", "name=run"))


def sweep_alone(workers: int) -> None:
    """Train two with Lightning alone, one after the other."""
    for lr in (0.001, 0.002):
        alone(workers, lr)


def sweep_with_gridstorm(workers: int) -> None:
    """Train two as trials, one after the other in this process."""
    for lr in (0.001, 0.002):
        with_gridstorm(workers, lr)


def seconds(train: Callable[[int], None], workers: int) -> float:
    """Return the seconds of training, of all that is trained."""
    Clock.seconds.clear()
    with contextlib.redirect_stdout(Screen()), contextlib.redirect_stderr(Screen()), quiet():
        train(workers)
    return sum(Clock.seconds)


def main() -> int:
    """Print the table; return 1 where gridstorm costs more than it may."""
    os.environ["GRIDSTORM_ALLOW"] = "bench"
    cases = {
        "one run, no workers": (alone, with_gridstorm, 0),
        "one run, 2 workers": (alone, with_gridstorm, 2),
        "two runs, 2 workers": (sweep_alone, sweep_with_gridstorm, 2),
    }
    rows: list[tuple[str, ...]] = [("", "Lightning alone", "gridstorm", "times")]
    slowest = 0.0
    for name, (theirs, ours, workers) in cases.items():
        pairs = [(seconds(theirs, workers), seconds(ours, workers)) for _ in range(TURNS + 1)][1:]  # the first warms up
        ratio = median(second / first for first, second in pairs)
        middles = [median(column) for column in zip(*pairs, strict=True)]
        rows.append((name, *(f"{value:.2f} s" for value in middles), f"{ratio:.3f}"))
        slowest = max(slowest, ratio)
    print(machine())
    print(table(rows, right=(1, 2, 3)))
    print(f"target: at most {TARGET} times; the slowest case takes {slowest:.3f}")
    return int(slowest > TARGET)


if __name__ == "__main__":
    from bench import own  # the module that a configuration names, where the clock's seconds are

    sys.exit(own.main())
