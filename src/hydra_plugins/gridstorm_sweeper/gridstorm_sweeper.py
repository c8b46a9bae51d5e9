"""Hands -m to gridstorm.sweeper. Hydra imports it at each start, so it imports nothing heavy."""

import sys

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridstormSweeper(Sweeper):
    """Trains every combination that the command line spans."""

    config: DictConfig
    loader: ConfigLoader
    task: TaskFunction

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composes the trials, and what was composed already; the task itself is not started."""
        self.config, self.loader, self.task = config, hydra_context.config_loader, task_function

    def sweep(self, arguments: list[str]) -> None:
        """Train the trials that `arguments` span."""
        from gridstorm.sweeper import planned_by, sweep

        plan = planned_by(self.loader, self.config, arguments, getattr(self.task, "composition", None))
        if status := sweep(plan):
            sys.exit(status)
