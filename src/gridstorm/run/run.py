"""One run: build what the configuration names, train it, test it, and leave a record."""

import os
import shlex
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from gridstorm.config import CONFIG, RunConfig, checked_again
from gridstorm.error import Problem, RunFailed, UserError, is_silent, refused, said, say, status
from gridstorm.module import Module, Recorder
from gridstorm.objects import (
    close,
    finish,
    introduce,
    keep,
    last_state,
    loggers_for,
    made_by,
    module_for,
    network_for,
    prepared,
    profile_in,
    quiet,
    refuse_a_single_sample,
    rehearse,
    sketched,
    told_of_targets,
    trainer_for,
    tried,
    try_one_batch,
    unread,
    warned,
)
from gridstorm.record import AVERAGED, DIFFERENCE, ERROR, RunRecord, Status, environment, uncommitted
from gridstorm.record import begin as begin_branch
from gridstorm.run.branch import let_begin, refuse_misfit
from gridstorm.run.curve import AfterEpoch, Curve, curve_for
from gridstorm.run.evaluation import is_averaged, test
from gridstorm.run.find import find
from gridstorm.run.heal import heal, healable
from gridstorm.run.longer import longer
from gridstorm.run.process import stopped_by_signals, threads
from gridstorm.run.result import closing, conclude, outcome
from gridstorm.run.summary import card, notes
from gridstorm.target import command, where

DIRECTORY_VARIABLE = "GRIDSTORM_DIRECTORY"  # tells the processes of ddp where the first one writes


def run(config: RunConfig) -> RunRecord | None:
    """Carry out what a checked configuration asks for: explain, go on with a run, or train a new one.

    Returns:
        The run's record; None for `explain=true` and for all but the first process of ddp.

    Raises:
        UserError: The objects cannot be built together, or there is no run to go on with.
        SystemExit: With 130 or 143 where Ctrl-C or SIGTERM stopped the run; it can go on.
    """
    status()
    with quiet():
        if config.values["resume"]:
            return resume(config)
        if config.values["explain"]:
            data = unread(config)
            network = sketched(config, data)
            if config.values["data"].get("batch_size") == 1 and not isinstance(network, pl.LightningModule):
                refuse_a_single_sample(network, torch.empty(1, *data.input_shape, device="meta"))
            say(card(config, network, notes(config, network, data)))
            return None
        if config.values["find"]:
            find(config)
            return None
        typed = command(shlex.join(config.overrides)) if not config.objects else in_python(config)
        kept = healable(config)
        record = train(
            kept,
            lambda: RunRecord.create(Path(config.values["output_dir"]), config.values["name"], kept, typed),
        )
        if record and config.values["heal"]:
            heal(record)
        return record


def in_python(config: RunConfig) -> str:
    """Return what was called, of a run with objects that no command line has."""
    given = "".join(f", {name}={type(value).__name__}" for name, value in config.objects.items())
    return f"gridstorm.train(gridstorm.compose({', '.join(map(repr, config.overrides))}){given})"


def resume(asked: RunConfig) -> RunRecord | None:
    """Go on with an interrupted run from its last checkpoint, with the configuration in its record.

    With more epochs it is a run of its own, that begins from there.
    """
    record = RunRecord(Path(asked.values["resume"]))
    if [text for text in asked.overrides if not text.startswith("resume=")]:
        config, begin_from = longer(asked, record, as_started(record))
        return train(config, begin_from)
    config = as_started(record, asked)
    is_healed, result = bool(config.values.get("heal")), record.result
    over = (Status.DONE, Status.DIVERGED, *([Status.PRUNED] if is_healed else []))
    if result and result.status in over:
        say(f"{record.directory} is over already.")
        say(closing(record, result))
        if is_healed:
            heal(record, resumed=True)
        return record
    trained = train(config, lambda: record)
    if trained and is_healed:
        heal(trained)
    return trained


def as_started(record: RunRecord, asked: RunConfig | None = None) -> RunConfig:
    """Return the configuration of a record, checked as if it came from someone else.

    Args:
        record: Of a run.
        asked: What was asked for now, where that holds the objects that the run was started with.

    Raises:
        UserError: Something is wrong with it, or it is not that with which the run was started.
    """
    objects, origin = asked.objects if asked else {}, record.origin
    config = checked_again(replace(record.config, objects=objects)) if objects else record.checked_config
    if origin.get("format", 0) and origin.get("signature") != config.signature:
        fact = "This is not the configuration with which the run was started, or a file that it names has changed."
        raise UserError([Problem(str(record.directory / CONFIG), fact, "Restore it, or start a new run.")])
    return config


def train(config: RunConfig, open_record: Callable[[], RunRecord], alone: bool = True) -> RunRecord | None:
    """Build, fit and record one run, and return its record; None in all but the first process of ddp.

    Args:
        config: The configuration.
        open_record: Returns the run's record; called once everything is built, so that what is refused leaves nothing.
        alone: Whether to print the card and the result, and to test the best weights; a sweep's trials are compared
            by their score, and a test in each of them would be a choice by the test part.
    """
    with warned() as alerts:
        return _train(config, open_record, alone, alerts)


def _train(
    config: RunConfig, open_record: Callable[[], RunRecord], alone: bool, alerts: Sequence[str]
) -> RunRecord | None:
    values = config.values
    torch.manual_seed(values["seed"])
    data = prepared(config)
    network = network_for(config, data)
    threads(values["threads"], network)
    module = module_for(config, network, data)
    left_out = tried_out(config, module, data)
    trainer = trainer_for(config, bar=alone and not is_silent())
    first = trainer.is_global_zero
    record = opened(open_record if first else None)
    curve = curve_for(config, record, module)
    attach(trainer, curve, module)
    loggers = _loggers(config, record)
    trainer.loggers = [Recorder(record, lambda: curve.counters(trainer)), *loggers]
    profile_in(trainer, record)
    if first:
        begin(config, record, trainer, data, alone)
    if first and alone:
        said_first(config, record, card(config, network, notes(config, network, data, left_out, record.directory)))
    try:
        introduce(config, record, loggers if first else [])
        fit(trainer, module, data, curve, alone)
        tested = tried("It was not tested", test, record, trainer, module, data) or {} if alone else {}
        early = curve.why if module.current_epoch < (trainer.max_epochs or 0) else None
        if first:
            finish(loggers, trainer.global_step, tested)
        result = conclude(config, curve, module, data, tested, early, alerts) if first else None
    except (KeyboardInterrupt, SystemExit):
        record.close()
        raise
    except Exception as error:
        with suppress(Exception):  # what failed is told below
            close(loggers)
        if alone and isinstance(error, UserError):
            record.discard()
            raise
        if first:
            record.write(ERROR, traceback.format_exc())
            record.finish(outcome(config, curve, module, Status.FAILED, said(error), alerts))
        if alone:
            record.close()
            place = f"The whole traceback is in {record.directory / ERROR}"
            raise RunFailed(f"The run failed: {said(error)}{where(error)}.\n{place}") from error
        raise
    if result and alone:
        say(closing(record, result))
    return record if first else None


def opened(open_record: Callable[[], RunRecord] | None) -> RunRecord:
    """Return the record of a run, which the first process of ddp makes and tells the others of."""
    record = open_record() if open_record else RunRecord(Path(os.environ[DIRECTORY_VARIABLE]))
    os.environ[DIRECTORY_VARIABLE] = str(record.directory)
    return record


def said_first(config: RunConfig, record: RunRecord, introduction: str) -> None:
    """Say what a run is before it trains, and its name where that is another one than asked for."""
    if record.fresh and config.values["name"] not in (None, record.directory.name):
        say(f"{config.values['name']} is taken: this run is {record.directory.name}.")
    say(introduction, end="\n\n")


def _loggers(config: RunConfig, record: RunRecord) -> list[Logger]:
    """Return the loggers beside the record; where one cannot be made, nothing is left of a run that was to begin."""
    try:
        return loggers_for(config, record)
    except UserError:
        record.discard()
        raise


def tried_out(config: RunConfig, module: pl.LightningModule, data: Any) -> list[str]:
    """Pass one batch, and refuse what cannot be trained; return the hyperparameters that no checkpoint will hold."""
    refuse_misfit(config, module)
    if isinstance(module, Module):
        try_one_batch(config, module, data)
        return []
    seen = rehearse(config, data)
    return seen.left_out if seen else []


def attach(trainer: pl.Trainer, curve: Curve, module: pl.LightningModule) -> None:
    """Put the book of a run before the other callbacks, and for what logs by `self.log` before its checkpoints too."""
    let_begin(trainer, curve.config, module)
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # the Trainer has it
    if not isinstance(module, Module):
        savers = [number for number, one in enumerate(callbacks) if isinstance(one, pl.callbacks.Checkpoint)]
        callbacks.insert(savers[0] if savers else len(callbacks), AfterEpoch(curve))
    callbacks.insert(0, curve)


def begin(config: RunConfig, record: RunRecord, trainer: pl.Trainer, data: Any, reopen: bool = False) -> None:
    """Hold the record and write down the start, or on resuming forget what came after the last checkpoint.

    Raises:
        UserError: Another process trains the run, or its record is damaged; it is then as it was.
    """
    record.hold()
    try:
        begin_branch(record)
        state = last_state(record)
        step = state["global_step"] if state else 0
        if reopen:
            record.reopen()
        device = trainer.strategy.root_device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
        told = {"task": data.task, **told_of_targets(data)} if hasattr(data, "task") else {}
        record.begin(step, environment(name, made_by(config, data)) | told)
    except UserError:
        record.close()
        raise
    record.write(DIFFERENCE, uncommitted())
    keep(data, record)


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: Any, curve: Curve, alone: bool = True) -> None:
    """Train from the last checkpoint if there is one; Ctrl-C and SIGTERM end the process of a run alone, resumable."""
    record, checkpoint = curve.record, curve.record.last_checkpoint
    stoppable: AbstractContextManager[list[int]] = stopped_by_signals() if alone else nullcontext([])
    with stoppable as stopped:
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
            if is_averaged(trainer):
                trainer.save_checkpoint(record.directory / AVERAGED)
        except ValueError as error:
            if curve.progress["samples"]:
                raise
            raise refused("configuration", error) from error
        except (KeyboardInterrupt, SystemExit) as error:
            if not stopped:
                raise
            record.close()
            from gridstorm.command import pasted  # which loads Hydra, and a worker does without

            again = pasted("resume", record.directory)
            say(f"\nStopped in epoch {trainer.current_epoch + 1}. Go on: {command(again)}")
            raise SystemExit(128 + stopped[0]) from error
