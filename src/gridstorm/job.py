"""What a worker does for a sweep: train runs in their directories, and look at configurations before any is trained.

Importing this file loads no torch: a sweep names these functions in a process that never trains.
"""

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridstorm.recipe import Composed
from gridstorm.record import Record
from gridstorm.refusal import Refusal

PRELOAD = ("gridstorm.preload",)  # what is imported once for all workers
PILOT_STEPS = 20


def carry_out(directories: Sequence[str]) -> None:
    """Train the runs in these directories one after another, each from its last checkpoint if it has one.

    Whatever comes out is in the directories; an exception is that run's failure and no one else's.
    """
    from gridstorm.run import quiet, said, train

    for directory in directories:
        record = Record(Path(directory))
        with output_to(record.directory / "output.txt"), quiet():
            try:
                train(record.composed, lambda record=record: record, alone=False)  # type: ignore[misc]
            except Exception as error:
                record.fail(said(error), traceback.format_exc())


@contextmanager
def output_to(file: Path) -> Iterator[None]:
    """Let all that a worker process prints, and the libraries in it, go to a file."""
    if multiprocessing.parent_process() is None:
        yield
        return
    kept = {stream: os.dup(stream.fileno()) for stream in (sys.__stdout__, sys.__stderr__) if stream}
    with file.open("a") as opened:
        for stream in kept:
            os.dup2(opened.fileno(), stream.fileno())
    try:
        yield
    finally:
        for stream, number in kept.items():
            stream.flush()
            os.dup2(number, stream.fileno())
            os.close(number)
        if not file.stat().st_size:
            file.unlink()


def inspect(composed: Composed) -> dict[str, Any]:
    """Build what a configuration names, the model on the meta device; what is built once is quick the next time.

    Returns:
        `data` (the data's fingerprint), `torch` (its version) and `parameters` (how many), or `problems` where they
        cannot be built.
    """
    import torch

    from gridstorm.run import fingerprint, module_for, network_for, prepared, quiet, trainer_for

    try:
        with quiet():
            data = prepared(composed)
            with torch.device("meta"):
                network = network_for(composed, data)
                module_for(composed, network, data)
            trainer_for(composed, bar=False)
    except Refusal as refusal:
        return {"problems": refusal.problems}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"data": fingerprint(data), "torch": torch.__version__, "parameters": parameters}


def pilot(composed: Composed) -> dict[str, float]:
    """Train a configuration for two short epochs in a folder that is thrown away, and estimate the whole run.

    Returns:
        `step` (seconds of a training step, with its share of the validation), `seconds` (of the whole run) and `bytes`
        of its checkpoints.
    """
    from gridstorm.run import prepared, quiet, train

    trainer = {**composed.config["trainer"], "max_epochs": 2, "limit_train_batches": PILOT_STEPS}
    short = replace(composed, config={**composed.config, "trainer": trainer, "name": None})
    with tempfile.TemporaryDirectory() as folder, quiet():
        total = len(prepared(composed).train_dataloader())
        started = time.monotonic()
        record = Record.create(Path(folder), "pilot", short, "")
        train(short, lambda: record, alone=False)
        around = time.monotonic() - started - record.rows()[-1]["seconds"]
        first, last = (row["seconds"] for row in record.rows()[-2:])
        size = sum(file.stat().st_size for file in (record.directory / "checkpoints").iterdir())
    step = (last - first) / min(PILOT_STEPS, total)
    epochs = int(composed.config["trainer"]["max_epochs"] or 1)
    return {"step": step, "seconds": around + epochs * total * step, "bytes": float(size)}
