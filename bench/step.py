"""A training step of the default run, against a bare PyTorch loop and the usual template.

    python -m bench.step

Processor time from the start to the end of training, on one thread, divided by the steps: ends of epochs are in it,
set-up and the test are not. Measured with epochs as long as the default run's and ten times as long; the difference
is what an epoch's end costs. The bare loop trains on the same batches to the same weights, bit by bit (checked), and
writes the same metrics, curves and two checkpoints.
"""

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from bench.bare import Bare
from bench.compare import composed, machine, medians
from bench.template import template
from gridstorm.config.recipe import RunConfig
from gridstorm.module.lightning import Recorder
from gridstorm.module.module import Module
from gridstorm.objects.build import module_for, network_for, trainer_for
from gridstorm.objects.data import prepared
from gridstorm.objects.warning import quiet
from gridstorm.record.run import RunRecord
from gridstorm.report.table import table
from gridstorm.run.curve import curve_for
from gridstorm.run.run import begin
from gridstorm.target.build import build

REPETITIONS = 9
TARGET = 1.5
EPOCHS, TIMES = 30, 10  # of the default run; and how much longer the long epochs are
UNVALIDATED = ("trainer.check_val_every_n_epoch=1000", "monitor=train/loss")
BARE, OURS, DEFAULT = "bare loop, same work", "gridstorm", ("threads=1", "trainer.log_every_n_steps=1000000")


class Screen(io.StringIO):
    """A terminal that shows nothing, so that progress bars draw."""

    def isatty(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Show nothing."""
        return len(text)


class Loop(pl.LightningModule):
    """Nothing but the step: the floor of what Lightning's loop costs."""

    def __init__(self, network: nn.Module, loss: nn.Module, optimizer: Any) -> None:
        super().__init__()
        self.network, self.loss, self.make_optimizer = network, loss, optimizer

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        return self.loss(self.network(batch[0]), batch[1])  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        """Return the optimizer."""
        return self.make_optimizer(self.parameters())


@dataclass
class Setting:
    """How long the training part is: `times` its own length, for `epochs` epochs; and the last run's weights."""

    times: int
    epochs: int
    steps: int = 0
    weights: list[Tensor] = field(default_factory=list)

    def prepare(self, *overrides: str) -> tuple[RunConfig, Any]:
        """Return the configuration and its data."""
        one = composed(*DEFAULT, f"trainer.max_epochs={self.epochs}", *overrides)
        data = prepared(one)
        data.parts["train"] = tuple(torch.cat([part] * self.times) for part in data.parts["train"])
        self.steps = self.epochs * len(data.batches("train", shuffle=True))
        torch.set_num_threads(1)
        torch.manual_seed(one.values["seed"])
        return one, data


Contestant = Callable[[Setting, Path], float]


def bare(setting: Setting, directory: Path, checkpoints: bool = True) -> float:
    """Return the seconds of the loop written out by hand."""
    run = Bare(*setting.prepare(), directory, checkpoints)
    seconds = run.fit()
    setting.weights = list(run.network.parameters())
    return seconds


def ours(setting: Setting, directory: Path, *overrides: str, recorded: bool = True) -> float:
    """Return the seconds of our run."""
    one, data = setting.prepare(*overrides)
    module, trainer = module_for(one, network_for(one, data), data), trainer_for(one)
    record = RunRecord.create(directory, "run", one, "bench")
    begin(one, record, trainer, data)
    curve = curve_for(one, record, module)
    assert isinstance(module, Module)
    trainer.callbacks.insert(0, curve)  # type: ignore[attr-defined]  # the Trainer has it
    trainer.loggers = [Recorder(record, lambda: curve.counters(trainer))] if recorded else []
    seconds = timed(trainer, module, datamodule=data)
    record.close()
    setting.weights = list(module.network.parameters())
    return seconds


def lightning(setting: Setting, directory: Path) -> float:
    """Return the seconds of Lightning's loop around a step and nothing else."""
    one, data = setting.prepare()
    module = Loop(network_for(one, data), build(one.values["loss"]), build(one.values["optimizer"]))
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=setting.epochs, accelerator="cpu", **off)  # type: ignore[arg-type]
    return timed(trainer, module, data.batches("train", shuffle=True))


def usual(setting: Setting, directory: Path) -> float:
    """Return the seconds of the usual template."""
    trainer, module, loaders = template(*setting.prepare(), directory)
    return timed(trainer, module, *loaders)


def timed(trainer: pl.Trainer, module: pl.LightningModule, *loaders: Any, **datamodule: Any) -> float:
    """Train, and return the seconds between the start and the end of training."""
    times, begins = [], module.on_train_start

    def start() -> None:
        begins()
        times.append(time.process_time())

    module.on_train_start = start  # type: ignore[method-assign]
    module.on_train_end = lambda: times.append(time.process_time())  # type: ignore[method-assign]
    trainer.fit(module, *loaders, **datamodule)
    return times[1] - times[0]


COMPARED: dict[str, Contestant] = {
    BARE: bare,
    "  without checkpoints": partial(bare, checkpoints=False),
    OURS: ours,
    "usual template": usual,
}
PARTS: dict[str, Contestant] = {
    "Lightning's loop": lightning,
    "+ our module": lambda *to: ours(*to, "callbacks=none", *UNVALIDATED, recorded=False),
    "+ validation": lambda *to: ours(*to, "callbacks=none", recorded=False),
    "+ record": lambda *to: ours(*to, "callbacks=none"),
    "+ checkpoints, bar": ours,
}


def measure(contestant: Contestant, setting: Setting) -> float:
    """Return the microseconds of a step."""
    hidden = contextlib.redirect_stdout(Screen()), contextlib.redirect_stderr(Screen())
    with hidden[0], hidden[1], quiet(), tempfile.TemporaryDirectory() as directory:
        return 1e6 * contestant(setting, Path(directory)) / setting.steps


def check() -> None:
    """Raise where our run and the bare loop do not end in the same weights."""
    by_hand, by_us = Setting(1, 3), Setting(1, 3)
    measure(bare, by_hand)
    measure(ours, by_us)
    if not all(map(torch.equal, by_hand.weights, by_us.weights)):
        raise AssertionError("The bare loop ends in other weights than our run: it does not do the same work.")


def compare(contestants: dict[str, Contestant]) -> dict[str, float]:
    """Print a table of contestants and return the microseconds of a step of each, epochs' ends included."""
    short, long = Setting(1, EPOCHS), Setting(TIMES, EPOCHS // TIMES)
    runs = {(name, s.times): partial(measure, run, s) for name, run in contestants.items() for s in (short, long)}
    medians_of = medians(runs, REPETITIONS)
    whole = {name: medians_of[name, 1] for name in contestants}
    num, first = short.steps // short.epochs, next(iter(whole.values()))
    rows = [(f"us of a step, {num} an epoch", "whole", "x first", "step alone", "epoch's end")]
    for name, of_all in whole.items():
        # A step of the long epochs holds a share of 1 / TIMES of an end.
        end = (of_all - medians_of[name, TIMES]) * num / (1 - 1 / TIMES)
        rows.append((name, f"{of_all:.0f}", f"{of_all / first:.2f}", f"{of_all - end / num:.0f}", f"{end:.0f}"))
    print(table(rows, right=(1, 2, 3, 4)), end="\n\n", flush=True)
    return whole


def main() -> None:
    """Print both tables; end with status 1 where a step misses the target."""
    print(f"The default run's step: digits, mlp, batch 64, adam; median of {REPETITIONS}; {machine()}\n")
    check()
    whole = compare(COMPARED)
    print("Where the rest goes: each row adds to the one above.\n")
    compare(PARTS)
    ratio = whole[OURS] / whole[BARE]
    print(f"Ours costs {ratio:.2f} times the bare loop; the target is at most {TARGET}.")
    sys.exit(ratio > TARGET)


if __name__ == "__main__":
    main()
