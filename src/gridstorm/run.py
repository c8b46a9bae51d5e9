"""One run: build what the configuration names, train it, test it, and leave a record."""

import hashlib
import math
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.profilers import PassThroughProfiler
from torch import nn

from gridstorm.card import card, try_one_batch
from gridstorm.config import Composed, recheck
from gridstorm.module import Module
from gridstorm.provenance import code, environment, uncommitted
from gridstorm.recipe import named_files
from gridstorm.record import COUNTERS, Record
from gridstorm.refusal import Problem, Refusal, quiet, said, tried, warned
from gridstorm.review import at_best, closing, loaded, review, test
from gridstorm.target import build, refused

SMALL = 300_000  # parameters up to which a second thread costs more than it gives (bench/threads.py)
DIRECTORY_VARIABLE = "GRIDSTORM_DIRECTORY"  # tells the processes of ddp where the first one writes


class Recorder(Logger):
    """Hands what Lightning logs to the run's record, which is also where Lightning puts its checkpoints."""

    def __init__(self, record: Record, module: Module) -> None:
        super().__init__()
        self.record, self.module = record, module

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
            self.record.log(self.module.counters(), named)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the record holds the configuration from the start."""


class Stopping(pl.Callback):
    """Stops a run at the end of an epoch where its directory asks so."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.why: str | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look before the first epoch: a run that goes on may have been asked already."""
        self._look(trainer, trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look whether it is asked."""
        self._look(trainer, trainer.current_epoch + 1)

    def _look(self, trainer: pl.Trainer, epochs: int) -> None:
        self.why = self.record.stops_after(epochs)
        trainer.should_stop = trainer.should_stop or self.why is not None


class Unprofiled(PassThroughProfiler):
    """Profiles nothing, without a new context for each of the twenty hooks of a step."""

    NOTHING = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """Return a context that does nothing."""
        return self.NOTHING


def run(composed: Composed) -> dict[str, Any]:
    """Carry out what a checked configuration asks for: explain, go on with a run, or train a new one.

    Returns:
        The run's result as in result.json; empty for `explain=true` and for all but the first process of ddp.

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
            return {}
        command = shlex.join(["python", "train.py", *composed.overrides])
        return train(
            composed,
            lambda: Record.create(Path(composed.config["output_dir"]), composed.config["name"], composed, command),
        )


def resume(asked: Composed) -> dict[str, Any]:
    """Go on with an interrupted run from its last checkpoint, with the configuration in its record."""
    others = [text for text in asked.overrides if not text.startswith("resume=")]
    if others:
        fact = "A run goes on with the configuration that it was started with."
        remedy = "Give resume= alone; for other values start a new run."
        raise Refusal([Problem(" ".join(others), fact, remedy)])
    record = Record(Path(asked.config["resume"]))
    composed = as_started(record)
    if record.result and record.result["status"] in ("done", "diverged"):
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


def train(composed: Composed, open_record: Callable[[], Record], alone: bool = True) -> dict[str, Any]:
    """Build, fit and record one run, and return its result.

    Args:
        composed: The configuration.
        open_record: Returns the run's record; called once everything is built, so that what is refused leaves nothing.
        alone: Whether to print the card and the result, and to test the best weights; a sweep's trials are compared
            by their score, and a test in each of them would be a choice by the test part.
    """
    with warned() as alerts:
        return _train(composed, open_record, alone, alerts)


def _train(composed: Composed, open_record: Callable[[], Record], alone: bool, alerts: Sequence[str]) -> dict[str, Any]:
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
    trainer.loggers = [Recorder(record, module), *loggers]
    stopping = Stopping(record)
    trainer.callbacks.insert(0, stopping)  # type: ignore[attr-defined]  # the Trainer has it
    if first:
        begin(composed, record, trainer, data, alone)
    if first and alone:
        print(card(composed, network), end="\n\n", flush=True)
    try:
        fit(trainer, module, data, record, alone)
        tested = tried("It was not tested", test, record, trainer, module, data) or {} if alone else {}
        early = stopping.why if module.current_epoch < (trainer.max_epochs or 0) else None
        outcome = conclude(composed, record, module, data, tested, early, alerts) if first else {}
    except Exception as error:
        if alone and isinstance(error, Refusal):
            record.discard()
        elif first:
            record.finish(result(composed, record, module, "failed", said(error), alerts))
        raise
    if first and alone:
        print(closing(record, outcome))
    return outcome


def conclude(
    composed: Composed,
    record: Record,
    module: Module,
    data: Any,
    tested: dict[str, float],
    early: str | None = None,
    alerts: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the result, and if it was tested (in a run alone) show what came out; return it.

    Args:
        composed: The configuration.
        record: The run's directory.
        module: What was trained.
        data: The data module.
        tested: The test metrics, empty where it was not tested.
        early: Why the run was asked to stop before its end, such as `pruned`.
        alerts: What was warned of while it was trained; may grow here.
    """
    outcome = result(composed, record, module, "diverged" if module.diverged else early or "done", alerts=alerts)
    outcome["metrics"] = {**at_best(record, outcome["best_epoch"], module.monitor, module.mode), **tested}
    totals = {
        "fit/ok": float(not module.diverged),
        "fit/params": outcome["parameters"],
        "fit/seconds": outcome["seconds"],
    }
    record.events.scalars(module.progress["samples"], totals | tested)
    if math.isfinite(tested.get("test/loss", math.nan)):  # weights that are no numbers predict nothing
        tried("It is not shown in pictures or text", review, record.events, module, data)
    record.finish({**outcome, "warnings": [*alerts]})
    return outcome


def prepared(composed: Composed) -> Any:
    """Return the data module with its parts read, split and standardised."""
    data = build(composed.config["data"])
    try:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            data.prepare_data()
        data.setup("fit")
    except (ValueError, OSError) as error:
        raise refused(f"data={composed.choices.get('data')}", error) from error
    return data


def network_for(composed: Composed, data: Any) -> nn.Module:
    """Return the model, built for the data's shape."""
    partial = build(composed.config["model"])
    try:
        return partial(input_shape=data.input_shape, num_outputs=data.num_outputs)  # type: ignore[no-any-return]
    except ValueError as error:
        raise refused(f"model={composed.choices.get('model')}", error) from error


def module_for(composed: Composed, network: nn.Module, data: Any) -> Module:
    """Return the LightningModule."""
    config = composed.config
    return Module(
        network,
        *(build(config[name]) for name in ("loss", "optimizer", "scheduler")),
        task=data.task,
        monitor=config["monitor"],
        mode=config["mode"],
        seed=config["seed"],
        unit=getattr(data, "target_std", 1.0),
        keep={"config": config, "signature": composed.signature},
        **config["regularization"],
    )


def trainer_for(composed: Composed, bar: bool = True) -> pl.Trainer:
    """Return the Trainer, still without loggers; what Lightning would print of itself is left out.

    Args:
        composed: The configuration.
        bar: Whether to keep its progress bar, if it has one.
    """
    callbacks = [build(node) for node in (composed.config["callbacks"] or {}).values()]
    callbacks = [one for one in callbacks if bar or not isinstance(one, pl.callbacks.ProgressBar)]
    ours = {
        "enable_progress_bar": any(isinstance(one, pl.callbacks.ProgressBar) for one in callbacks),
        "enable_checkpointing": any(isinstance(one, pl.callbacks.Checkpoint) for one in callbacks),
        "enable_model_summary": False,
    }
    profiler = {} if composed.config["trainer"].get("profiler") else {"profiler": Unprofiled()}
    with quiet():
        return build({**ours, **composed.config["trainer"]}, logger=False, callbacks=callbacks, **profiler)  # type: ignore[no-any-return]


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
    record.write("code.diff", uncommitted())


def made_by(composed: Composed, data: Any) -> dict[str, str]:
    """Return what a run is made by, beside its recipe; it is asked before the training, which it could not undo."""
    return {"code": code(composed.recipe), "data": fingerprint(composed, data), "torch": torch.__version__}


def fingerprint(composed: Composed, data: Any) -> str:
    """Return the data module's name for its data, or one for the files that its section names; empty without any."""
    if hasattr(data, "fingerprint"):
        return str(data.fingerprint())
    files = named_files(composed.config["data"])
    return hashlib.sha256(str(files).encode()).hexdigest() if files else ""


def fit(trainer: pl.Trainer, module: Module, data: Any, record: Record, alone: bool = True) -> None:
    """Train from the last checkpoint if there is one; Ctrl-C and SIGTERM end the process of a run alone, resumable."""
    checkpoint = record.last_checkpoint
    stoppable: AbstractContextManager[list[int]] = stopped_by_signals() if alone else nullcontext([])
    with stoppable as stopped:
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
        except ValueError as error:
            if module.progress["samples"]:
                raise
            raise refused("configuration", error) from error
        except (KeyboardInterrupt, SystemExit) as error:
            if not stopped:
                raise
            record.close()
            print(f"\nStopped in epoch {trainer.current_epoch + 1}. Go on: python train.py resume={record.directory}")
            raise SystemExit(128 + stopped[0]) from error


def result(
    composed: Composed,
    record: Record,
    module: Module,
    status: str,
    error: str | None = None,
    alerts: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what result.json will hold, but for the metrics."""
    progress = module.progress
    return {
        "signature": composed.signature,
        "status": status,
        "monitor": composed.config["monitor"],
        "mode": composed.config["mode"],
        "score": progress["best_score"],
        "best_epoch": progress["best_epoch"],
        "epochs": module.current_epoch,
        "seconds": round(progress["seconds"], 3),
        "parameters": sum(parameter.numel() for parameter in module.network.parameters()),
        "error": error,
        "warnings": [*alerts],
        "made_by": record.environment.get("made_by"),
    }


def threads(wanted: int | str, network: nn.Module) -> None:
    """Set torch's CPU threads; `auto` is one for a small model, otherwise what torch chose."""
    small = sum(parameter.numel() for parameter in network.parameters()) <= SMALL
    if wanted != "auto":
        torch.set_num_threads(int(wanted))
    elif small:
        torch.set_num_threads(1)


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Turn Ctrl-C and SIGTERM into KeyboardInterrupt and yield the list in which their number then stands."""
    stopped: list[int] = []

    def stop(number: int, frame: Any) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
