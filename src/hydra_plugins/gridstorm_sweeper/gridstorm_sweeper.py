"""Hands -m to gridstorm.sweeper. Hydra imports it at each start, so it imports nothing heavy."""

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridstormSweeper(Sweeper):
    """Trains every combination that the command line spans."""

    config: DictConfig
    loader: ConfigLoader

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what composes the cells; the task function is not needed, since cells are composed and run by us."""
        self.config, self.loader = config, hydra_context.config_loader

    def sweep(self, arguments: list[str]) -> None:
        """Train the cells of `arguments`."""
        from gridstorm.sweeper import sweep

        sweep(self.loader, self.config, arguments)
