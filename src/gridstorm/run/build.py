"""The objects that a configuration names: data, network, LightningModule, Trainer."""

import hashlib
import os
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from gridstorm.config import Composed, named_files
from gridstorm.error import refused
from gridstorm.record import Record, code
from gridstorm.run.curve import Curve
from gridstorm.run.lightning import Unprofiled
from gridstorm.run.module import Module
from gridstorm.run.warning import quiet
from gridstorm.target import build


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
        seed=config["seed"],
        unit=getattr(data, "target_std", 1.0),
        **config["regularization"],
    )


def curve_for(composed: Composed, record: Record, module: Module) -> Curve:
    """Return what keeps the book of a run."""
    config = composed.config
    return Curve(
        record,
        monitor=config["monitor"],
        mode=config["mode"],
        seed=config["seed"],
        keep={"config": config, "signature": composed.signature},
        after_score=module.step_plateau,
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


def made_by(composed: Composed, data: Any) -> dict[str, str]:
    """Return what a run is made by, beside its recipe; it is asked before the training, which it could not undo."""
    return {"code": code(composed.recipe), "data": fingerprint(composed, data), "torch": torch.__version__}


def fingerprint(composed: Composed, data: Any) -> str:
    """Return the data module's name for its data, or one for the files that its section names; empty without any."""
    if hasattr(data, "fingerprint"):
        return str(data.fingerprint())
    files = named_files(composed.config["data"])
    return hashlib.sha256(str(files).encode()).hexdigest() if files else ""
