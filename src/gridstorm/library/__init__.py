"""Gridstorm from Python: compose, train and sweep from a script or a notebook, and read what was recorded."""

from gridstorm.library.judgment import diagnose
from gridstorm.library.run import Run, runs
from gridstorm.library.sweeps import Sweep
from gridstorm.library.training import compose, sweep, train

__all__ = ["Run", "Sweep", "compose", "diagnose", "runs", "sweep", "train"]
