"""The one LightningModule around any network, what it measures and steps with, and Lightning's private names."""

import gridstorm.module.lightning  # isort: skip  # first: it imports Lightning in less time
from gridstorm.module.batch import PLACES, Batch, picked
from gridstorm.module.lightning import (
    HOOKS,
    TRANSFER,
    CheckpointWriter,
    LightModule,
    NoProfiler,
    Recorder,
    call_callbacks,
    can_stop_early,
    hooks,
    load_callbacks,
    logged_metrics,
    loops_of,
    restart_loader,
)
from gridstorm.module.metric import (
    Meter,
    aligned,
    batch_metrics,
    direction,
    forward_loss,
    is_plain,
    refuse_a_wrong_direction,
)
from gridstorm.module.module import Module
from gridstorm.module.optimizer import counts_steps, estimated_steps, learning_rates, stretched, unmatched

__all__ = [
    "HOOKS",
    "PLACES",
    "TRANSFER",
    "Batch",
    "CheckpointWriter",
    "LightModule",
    "Meter",
    "Module",
    "NoProfiler",
    "Recorder",
    "aligned",
    "batch_metrics",
    "call_callbacks",
    "can_stop_early",
    "counts_steps",
    "direction",
    "estimated_steps",
    "forward_loss",
    "hooks",
    "is_plain",
    "learning_rates",
    "load_callbacks",
    "logged_metrics",
    "loops_of",
    "picked",
    "refuse_a_wrong_direction",
    "restart_loader",
    "stretched",
    "unmatched",
]
