"""One run: build, train, test, record."""

from gridstorm.run.build import curve_for, fingerprint, module_for, network_for, prepared, trainer_for
from gridstorm.run.checkpoint import loaded
from gridstorm.run.curve import epoch_seed
from gridstorm.run.lightning import HOOKS, Lean, Recorder, hooks
from gridstorm.run.metric import Batch, Meter, is_plain, passed, quantities
from gridstorm.run.module import Module
from gridstorm.run.optimizer import parameter_groups
from gridstorm.run.process import threads
from gridstorm.run.rerun import rerun
from gridstorm.run.result import conclude
from gridstorm.run.run import begin, run, train
from gridstorm.run.shape import try_one_batch
from gridstorm.run.warning import quiet, warned

__all__ = [
    "HOOKS",
    "Batch",
    "Lean",
    "Meter",
    "Module",
    "Recorder",
    "begin",
    "conclude",
    "curve_for",
    "epoch_seed",
    "fingerprint",
    "hooks",
    "is_plain",
    "loaded",
    "module_for",
    "network_for",
    "parameter_groups",
    "passed",
    "prepared",
    "quantities",
    "quiet",
    "rerun",
    "run",
    "threads",
    "train",
    "trainer_for",
    "try_one_batch",
    "warned",
]
