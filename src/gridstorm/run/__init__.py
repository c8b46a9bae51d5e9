"""One run: build, train, test, record."""

import gridstorm.module  # isort: skip  # first: it imports Lightning in less time
from gridstorm.run.build import curve_for, module_for, network_for, sketched, trainer_for
from gridstorm.run.checkpoint import last_state, loaded
from gridstorm.run.curve import epoch_seed
from gridstorm.run.data import fingerprint, prepared
from gridstorm.run.process import threads
from gridstorm.run.rerun import rerun
from gridstorm.run.result import conclude
from gridstorm.run.run import begin, run, train, tried_out
from gridstorm.run.shape import num_batches, try_one_batch
from gridstorm.run.warning import quiet, warned
from gridstorm.run.weights import num_parameters

__all__ = [
    "begin",
    "conclude",
    "curve_for",
    "epoch_seed",
    "fingerprint",
    "last_state",
    "loaded",
    "module_for",
    "network_for",
    "num_batches",
    "num_parameters",
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
