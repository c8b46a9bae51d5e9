"""One run: build, train, test, record."""

import gridstorm.module  # isort: skip  # first: it imports Lightning in less time
from gridstorm.run.branch import adopt, is_parents
from gridstorm.run.curve import curve_for, epoch_seed
from gridstorm.run.evaluation import write
from gridstorm.run.layer import Layers
from gridstorm.run.process import threads
from gridstorm.run.rerun import rerun
from gridstorm.run.result import conclude
from gridstorm.run.run import begin, run, train, tried_out
from gridstorm.run.state import draw_on, drawn

__all__ = [
    "Layers",
    "adopt",
    "begin",
    "conclude",
    "curve_for",
    "draw_on",
    "drawn",
    "epoch_seed",
    "is_parents",
    "rerun",
    "run",
    "threads",
    "train",
    "tried_out",
    "write",
]
