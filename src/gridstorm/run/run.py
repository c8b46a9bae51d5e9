"""One run: build what the configuration names, train it, test it, and leave a record."""

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from gridstorm.config import Composed, recheck
from gridstorm.error import Problem, Refusal, refused, said
from gridstorm.record import DIFFERENCE, Record, Result, Status, environment, uncommitted
from gridstorm.run.build import curve_for, made_by, module_for, network_for, prepared, trainer_for
from gridstorm.run.checkpoint import loaded
from gridstorm.run.curve import Curve
from gridstorm.run.evaluation import test
from gridstorm.run.lightning import Recorder
from gridstorm.run.module import Module
from gridstorm.run.process import stopped_by_signals, threads
from gridstorm.run.result import closing, conclude, outcome
from gridstorm.run.shape import try_one_batch
from gridstorm.run.summary import card
from gridstorm.run.warning import quiet, tried, warned
from gridstorm.target import build

DIRECTORY_VARIABLE = "GRIDSTORM_DIRECTORY"  # tells the processes of ddp where the first one writes


def run(composed: Composed) -> Result | None:
    """Carry out what a checked configuration asks for: explain, go on with a run, or train a new one.

    Returns:
        The run's result; None for `explain=true` and for all but the first process of ddp.

    Raises:
        Refusal: The objects cannot be built together, or there is no run to go on with.
        SystemExit: With 130 or 143 where Ctrl-C or SIGTERM stopped the run; it can go on.
    """
    with quiet():
        if composed.config["resume"]:
            return resume(composed)
        if composed.config["explain"]:
            data = build(composed.config["data"])
            with torch.device("meta"):
                print(card(composed, network_for(composed, data)))
            return None
        command = shlex.join(["python", "train.py", *composed.overrides])
        return train(
            composed,
            lambda: Record.create(Path(composed.config["output_dir"]), composed.config["name"], composed, command),
        )


def resume(asked: Composed) -> Result | None:
    """Go on with an interrupted run from its last checkpoint, with the configuration in its record."""
    others = [text for text in asked.overrides if not text.startswith("resume=")]
    if others:
        fact = "A run goes on with the configuration that it was started with."
        remedy = "Give resume= alone; for other values start a new run."
        raise Refusal([Problem(" ".join(others), fact, remedy)])
    record = Record(Path(asked.config["resume"]))
    composed = as_started(record)
    if record.result and record.result.status in (Status.DONE, Status.DIVERGED):
        print(f"{record.directory} is over already.")
        print(closing(record, record.result))
        return record.result
    return train(composed, lambda: record)


def as_started(record: Record) -> Composed:
    """Return the configuration of a record, checked as if it came from someone else.

    Raises:
        Refusal: Something is wrong with it, or it is not that with which the run was started.
    """
    composed, origin = recheck(record.composed), record.origin
    if origin.get("format", 0) and origin.get("signature") != composed.signature:
        fact = "This is not the configuration with which the run was started, or a file that it names has changed."
        raise Refusal([Problem(str(record.directory / "config.yaml"), fact, "Restore it, or start a new run.")])
    return composed


def train(composed: Composed, open_record: Callable[[], Record], alone: bool = True) -> Result | None:
    """Build, fit and record one run, and return its result.

    Args:
        composed: The configuration.
        open_record: Returns the run's record; called once everything is built, so that what is refused leaves nothing.
        alone: Whether to print the card and the result, and to test the best weights; a sweep's trials are compared
            by their score, and a test in each of them would be a choice by the test part.
    """
    with warned() as alerts:
        return _train(composed, open_record, alone, alerts)


def _train(composed: Composed, open_record: Callable[[], Record], alone: bool, alerts: Sequence[str]) -> Result | None:
    config = composed.config
    torch.manual_seed(config["seed"])
    data = prepared(composed)
    network = network_for(composed, data)
    threads(config["threads"], network)
    module = module_for(composed, network, data)
    try_one_batch(composed, module, data)
    trainer = trainer_for(composed, alone)
    loggers = [build(config["logger"])] if config["logger"] else []
    first = trainer.is_global_zero
    record = open_record() if first else Record(Path(os.environ[DIRECTORY_VARIABLE]))
    os.environ[DIRECTORY_VARIABLE] = str(record.directory)
    curve = curve_for(composed, record, module)
    trainer.loggers = [Recorder(record, lambda: curve.counters(trainer)), *loggers]
    trainer.callbacks.insert(0, curve)  # type: ignore[attr-defined]  # the Trainer has it
    if first:
        begin(composed, record, trainer, data, alone)
    if first and alone:
        print(card(composed, network), end="\n\n", flush=True)
    try:
        fit(trainer, module, data, curve, alone)
        tested = tried("It was not tested", test, record, trainer, module, data) or {} if alone else {}
        early = curve.why if module.current_epoch < (trainer.max_epochs or 0) else None
        found = conclude(composed, curve, module, data, tested, early, alerts) if first else None
    except Exception as error:
        if alone and isinstance(error, Refusal):
            record.discard()
        elif first:
            record.finish(outcome(composed, curve, module, Status.FAILED, said(error), alerts))
        raise
    if found and alone:
        print(closing(record, found))
    return found


def begin(composed: Composed, record: Record, trainer: pl.Trainer, data: Any, reopen: bool = False) -> None:
    """Hold the record and write down the start, or on resuming forget what came after the last checkpoint.

    Raises:
        Refusal: Another process trains the run, or its record is damaged; it is then as it was.
    """
    record.hold()
    try:
        checkpoint = record.last_checkpoint
        step = loaded(checkpoint)["global_step"] if checkpoint else 0
        if reopen:
            record.reopen()
        device = trainer.strategy.root_device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
        record.begin(step, environment(name, made_by(composed, data)))
    except Refusal:
        record.close()
        raise
    record.write(DIFFERENCE, uncommitted())


def fit(trainer: pl.Trainer, module: Module, data: Any, curve: Curve, alone: bool = True) -> None:
    """Train from the last checkpoint if there is one; Ctrl-C and SIGTERM end the process of a run alone, resumable."""
    record, checkpoint = curve.record, curve.record.last_checkpoint
    stoppable: AbstractContextManager[list[int]] = stopped_by_signals() if alone else nullcontext([])
    with stoppable as stopped:
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        except ValueError as error:
            if curve.progress["samples"]:
                raise
            raise refused("configuration", error) from error
        except (KeyboardInterrupt, SystemExit) as error:
            if not stopped:
                raise
            record.close()
            print(f"\nStopped in epoch {trainer.current_epoch + 1}. Go on: python train.py resume={record.directory}")
            raise SystemExit(128 + stopped[0]) from error
