"""Finding a learning rate or a batch size before anything is trained: the model is left as it was."""

import io
import math
import re
import resource
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from numpy.typing import NDArray
from pytorch_lightning.tuner.tuning import Tuner

from gridstorm.config import RunConfig, default_name, leaves
from gridstorm.error import Problem, UserError, say
from gridstorm.objects import module_for, network_for, num_batches, prepared, trainer_for
from gridstorm.record import EventFile
from gridstorm.report import line_chart, plot, table
from gridstorm.run.curve import batch_size
from gridstorm.run.process import threads
from gridstorm.target import command

Floats = NDArray[np.float64]
LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 200  # of a range test
FORGETS = 0.98  # of Lightning's mean of the losses
WIDTH = 7.0  # steps, the deviation of the bell over which losses are averaged
BEGINS = 0.1  # share of the fall of the loss, at which it has begun
LARGEST = 8192  # size of a batch of data whose number nobody knows
BAR = "Finding best initial lr"  # what the tuner's bar begins with
FEWEST = 30  # steps of a range test that say something
WARM, TIMED = 3, 12  # steps with each batch size: those that are not timed, and those that are
ENOUGH = 0.9  # share of the highest throughput, which counts as that


@dataclass(frozen=True)
class Rates:
    """What a range test has shown (Smith, 2017, "Cyclical learning rates", section 3.3).

    Args:
        rates: The learning rate of each step [N].
        losses: The training loss after it, averaged over its neighbors [N].
    """

    rates: Floats
    losses: Floats

    @property
    def lowest(self) -> int:
        """The step of the least loss: beyond it the rate is too large."""
        return int(np.nanargmin(self.losses))

    @property
    def stable(self) -> tuple[float, float]:
        """The rates between which the loss falls: from where it has begun to, to that of the least loss."""
        begin, least = self.losses[: self.lowest + 1], self.losses[self.lowest]
        high = float(np.nanmedian(begin[: max(1, len(begin) // 3)]))
        below = np.flatnonzero(begin < high - BEGINS * (high - least))
        return float(self.rates[below[0] if len(below) else 0]), float(self.rates[self.lowest])

    @property
    def suggested(self) -> float:
        """Half of the rate of the least loss, which lies below the one that is best for a whole training.

        The test is short, and with what its smaller rates had learned already the rates after them do worse. Of the
        presets a half is better than the usual tenth, and than the rate of the steepest fall (`bench.find`).
        """
        return float(f"{self.stable[1] / 2:.1g}")


def find(config: RunConfig) -> None:
    """Find what `find=` asks for, say it, and draw it for TensorBoard.

    Raises:
        UserError: The module steps by itself or has several optimizers, or no batch size can be set.
    """
    if config.values["find"] == "lr":
        _find_rate(config)
    else:
        _find_batch_size(config)


def range_test(config: RunConfig) -> Rates:
    """Return what a range test shows: a rate that grows at every step, from the first weights on.

    Raises:
        UserError: Lightning's tuner cannot do it with this module.
    """
    data = prepared(config)
    batches = num_batches(config, data)
    gathered = int(config.values["trainer"].get("accumulate_grad_batches") or 1)
    epochs = 1 + math.ceil(STEPS * gathered / batches) if batches else 1
    module, trainer = _built(config, data, max_epochs=epochs, max_steps=-1)
    module.rate_of_range_test = 0.0  # the tuner wants to know an attribute, which it need not set
    try:
        with _without_bar():
            found = Tuner(trainer).lr_find(
                module, datamodule=data, min_lr=LOWEST, max_lr=HIGHEST, num_training=STEPS, update_attr=False,
                attr_name="rate_of_range_test", early_stop_threshold=None,
            )  # fmt: skip
    except MisconfigurationException as error:
        fact = f"Lightning's tuner cannot do it with this module: {str(error).rstrip('.')}."
        raise UserError([Problem("find=lr", fact, "Sweep the learning rate instead.")]) from error
    means = np.array(found.results["loss"] if found else [], float)
    wrong = np.flatnonzero(~np.isfinite(means))
    losses = _single(means[: wrong[0]] if len(wrong) else means)
    if found is None or len(losses) < FEWEST:
        fact = f"The training loss is no number after {len(losses)} steps of the range test."
        raise UserError([Problem("find=lr", fact, "Train a few epochs, and see what the verdict says.")])
    return Rates(np.array(found.results["lr"], float)[: len(losses)], _averaged(losses))


@contextmanager
def _without_bar() -> Iterator[None]:
    """Leave out the tuner's bar where nobody sees it move; whatever else is said there is said afterwards."""
    if sys.stderr.isatty():
        yield
        return
    held = io.StringIO()
    try:
        with redirect_stderr(held):
            yield
    finally:
        lines = [line for line in re.split(r"[\r\n]+", held.getvalue()) if line.strip() and not line.startswith(BAR)]
        sys.stderr.write("".join(f"{line}\n" for line in lines))


def _single(means: Floats) -> Floats:
    """Return the losses of single steps [N] from Lightning's means of them.

    Its means forget slowly, so that they lag by many steps, and their first ones are half of what they should be.
    """
    sums = means * (1 - FORGETS ** (np.arange(len(means)) + 2))
    before = np.concatenate([[0.0], sums[:-1]])
    losses: Floats = (sums - FORGETS * before) / (1 - FORGETS)
    return losses


def _averaged(losses: Floats) -> Floats:
    """Return losses [N] averaged over their neighbors."""
    places = np.arange(len(losses))
    weights = np.exp(-0.5 * ((places[:, None] - places) / WIDTH) ** 2) * np.isfinite(losses)
    averaged: Floats = (weights @ np.nan_to_num(losses)) / weights.sum(1)
    return averaged


def _built(config: RunConfig, data: Any, **lengths: Any) -> tuple[Any, pl.Trainer]:
    """Return a fresh module and a Trainer that only trains, for so long."""
    whole = {"limit_val_batches": 0, "overfit_batches": 0.0, "fast_dev_run": False}
    changed = {**config.values["trainer"], **whole, **lengths}
    brief = replace(config, values={**config.values, "callbacks": {}, "logger": {}, "trainer": changed})
    torch.manual_seed(config.values["seed"])
    network = network_for(brief, data)
    threads(config.values["threads"], network)
    return module_for(brief, network, data), trainer_for(brief, bar=False)


def _find_rate(config: RunConfig) -> None:
    found, key = range_test(config), _rate_key(config)
    low, high = found.stable
    say(f"{len(found.rates)} steps, the learning rate growing from {LOWEST:g} to {found.rates[-1]:.2g}\n")
    say(plot({"training loss": found.losses.tolist()}, "The loss", key, (f"{LOWEST:g}", f"{found.rates[-1]:.2g}")))
    say(f"\nsuggested  {key}={found.suggested:g}")
    say(f"stable     {low:.1g} to {high:.1g}: there the loss falls, and above it rises again")
    given = [text for text in config.overrides if text.partition("=")[0] not in ("find", key)]
    if "." in key:
        say(f"try        {command(shlex.join([*given, f'{key}={found.suggested:g}']))}")
    with _drawn(config, "lr") as file:
        file.image("find/lr", line_chart(f"training loss by {key}", found.rates.tolist(), found.losses.tolist()))
        for step, (rate, loss) in enumerate(zip(found.rates.tolist(), found.losses.tolist(), strict=True), 1):
            file.scalars(step, {"find/lr": rate, "find/loss": loss})


def _rate_key(config: RunConfig) -> str:
    names = [key for key, _ in leaves({name: config.values.get(name) for name in ("optimizer", "model")})]
    rates = [key for key in names if key.rpartition(".")[2] in ("lr", "learning_rate")]
    return rates[0] if rates else "the learning rate"


@dataclass(frozen=True)
class Size:
    """What a batch size costs.

    Args:
        size: Samples of a batch.
        throughput: Samples a second.
        memory: The most bytes that were in use; of a CPU those of the process.
    """

    size: int
    throughput: float
    memory: float


def _find_batch_size(config: RunConfig) -> None:
    sizes = [*_sizes(config)]
    if not sizes:
        raise UserError([Problem("find=batch_size", "Not even 8 samples fit into memory.", "Take a smaller model.")])
    best = max(one.throughput for one in sizes)
    enough = next(one.size for one in sizes if one.throughput >= ENOUGH * best)
    header = ("data.batch_size", "samples a second", "memory")
    rows = [(str(one.size), f"{one.throughput:,.0f}", f"{one.memory / 2**20:,.0f} MiB") for one in sizes]
    say(table([header, *rows], right=[0, 1, 2]))
    if enough == sizes[-1].size:
        say(f"\nThe throughput still rises at data.batch_size={enough}, the largest that was tried.")
    else:
        say(f"\nThe throughput stops rising at data.batch_size={enough}: beyond it a step takes longer in proportion.")
    say("Another batch size wants another learning rate: find=lr.")
    with _drawn(config, "batch-size") as file:
        for one in sizes:
            file.scalars(one.size, {"find/samples_per_second": one.throughput, "find/memory": one.memory})


def _sizes(config: RunConfig) -> Iterator[Size]:
    """Measure batch sizes, each twice the one before, up to the training samples or to what fits into memory."""
    if not isinstance(config.values["data"].get("batch_size"), int):
        raise UserError([Problem("find=batch_size", "The data have no batch_size that is a number.", "Give them one.")])
    batches = num_batches(config, prepared(config))
    samples = int(batches * config.values["data"]["batch_size"]) if batches else LARGEST
    size = min(8, samples)
    while size <= samples:
        try:
            yield _measured(config, size)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if "memory" not in str(error).lower():
                raise
            say(f"data.batch_size={size} does not fit into memory.")
            return
        size *= 2


def _measured(config: RunConfig, size: int) -> Size:
    """Return what a batch size costs, over a few steps."""
    changed = replace(config, values={**config.values, "data": {**config.values["data"], "batch_size": size}})
    data = prepared(changed)
    batches = num_batches(changed, data) or 1
    steps = WARM + TIMED
    module, trainer = _built(changed, data, max_steps=steps, max_epochs=1 + steps // int(batches))
    clock = _Clock()
    trainer.callbacks.append(clock)  # type: ignore[attr-defined]  # the Trainer has it
    trainer.fit(module, datamodule=data)
    device = trainer.strategy.root_device
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else kib * 1024
    return Size(size, clock.throughput, float(memory))


class _Clock(pl.Callback):
    """Times whole steps: from the end of one to the end of the next, the loading of the batch included."""

    def __init__(self) -> None:
        self.samples, self.ends = list[int](), list[float]()

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the time, once the device is done, and how many samples there were: the last batch may be small."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.samples.append(batch_size(batch))

    @property
    def throughput(self) -> float:
        """Samples a second, after the first steps."""
        return sum(self.samples[WARM:]) / (self.ends[-1] - self.ends[WARM - 1])


def _fresh(parent: Path, name: str) -> Path:
    """Return a directory that is made now: `name`, or `name-2` and so on where that is taken, as by a run."""
    for number in count(1):
        directory = parent / (name if number == 1 else f"{name}-{number}")
        try:
            directory.mkdir(parents=True)
            return directory
        except FileExistsError:
            continue
        except OSError as error:
            fact = f"The directory cannot be written ({error.strerror})."
            raise UserError([Problem(str(parent), fact, "Give another output_dir.")]) from error
    raise AssertionError("There is always a next number.")


def _drawn(config: RunConfig, what: str) -> EventFile:
    """Return the event file of a search, in a directory of its own."""
    name = config.values["name"] or f"{default_name(config)}-find-{what}"
    directory = _fresh(Path(config.values["output_dir"]), name)
    say(f"look       tensorboard --logdir {config.values['output_dir']}    ({directory})")
    return EventFile(directory)
