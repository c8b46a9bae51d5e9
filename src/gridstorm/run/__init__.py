"""One run: build, train, test, record."""

import gridstorm.run.lightning  # isort: skip  # first: it imports Lightning in less time
from gridstorm.run.build import curve_for, fingerprint, module_for, network_for, prepared, sketched, trainer_for
from gridstorm.run.checkpoint import last_state, loaded
from gridstorm.run.curve import epoch_seed
from gridstorm.run.lightning import (
    HOOKS,
    CheckpointWriter,
    LightModule,
    Recorder,
    call_callbacks,
    can_stop_early,
    hooks,
    load_callbacks,
    loops_of,
)
from gridstorm.run.metric import Batch, Meter, batch_metrics, forward_loss, is_plain
from gridstorm.run.module import Module
from gridstorm.run.optimizer import parameter_groups
from gridstorm.run.process import threads
from gridstorm.run.rerun import rerun
from gridstorm.run.result import conclude
from gridstorm.run.run import begin, run, train, tried_out
from gridstorm.run.shape import num_batches, try_one_batch
from gridstorm.run.warning import quiet, warned

__all__ = [
    "HOOKS",
    "Batch",
    "CheckpointWriter",
    "LightModule",
    "Meter",
    "Module",
    "Recorder",
    "batch_metrics",
    "begin",
    "call_callbacks",
    "can_stop_early",
    "conclude",
    "curve_for",
    "epoch_seed",
    "fingerprint",
    "forward_loss",
    "hooks",
    "is_plain",
    "last_state",
    "load_callbacks",
    "loaded",
    "loops_of",
    "module_for",
    "network_for",
    "num_batches",
    "parameter_groups",
    "prepared",
    "quiet",
    "rerun",
    "run",
    "sketched",
    "threads",
    "train",
    "trainer_for",
    "tried_out",
    "try_one_batch",
    "warned",
]
