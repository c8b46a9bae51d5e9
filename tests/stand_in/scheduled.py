"""A user's own LightningModule with a schedule of its own."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules


class Scheduled(pl.LightningModule):
    def __init__(self, schedule: str, lr: float = 0.1) -> None:
        """Take what a user's own module might."""
        super().__init__()
        self.save_hyperparameters()
        self.schedule, self.lr = schedule, lr
        self.net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.Dropout(0.2), torch.nn.ReLU(), torch.nn.Linear(16, 10)
        )

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Return the loss."""
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the score."""
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        """Return SGD and the schedule that was asked for."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
        if self.schedule == "sequential":
            parts = [schedules.LinearLR(optimizer, 0.1, total_iters=2), schedules.CosineAnnealingLR(optimizer, 6)]
            return [optimizer], [schedules.SequentialLR(optimizer, parts, milestones=[2])]
        if self.schedule == "plateau":
            plateau = schedules.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}
        if self.schedule == "one_cycle":
            cycle = schedules.OneCycleLR(optimizer, self.lr, total_steps=40, cycle_momentum=False)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
        return [optimizer], [schedules.LambdaLR(optimizer, lambda epoch: 0.9**epoch)]
