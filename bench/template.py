"""The same run as the usual template of Lightning with Hydra trains it: torchmetrics, self.log, DataLoader."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from gridstorm.config.recipe import RunConfig
from gridstorm.objects.build import network_for
from gridstorm.target.build import build

Batch = tuple[Tensor, Tensor]


class Template(pl.LightningModule):
    """Logs the loss and the accuracy of each step and epoch through Lightning."""

    def __init__(self, network: nn.Module, loss: nn.Module, optimizer: Any, scheduler: Any, num_classes: int) -> None:
        super().__init__()
        self.network, self.loss, self.make_optimizer, self.make_scheduler = network, loss, optimizer, scheduler
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.train_accuracy, self.val_accuracy = MulticlassAccuracy(num_classes), MulticlassAccuracy(num_classes)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss, and log it with the accuracy."""
        loss, predicted, y = self.predict(batch)
        self.train_loss(loss)
        self.train_accuracy(predicted, y)
        self.log("train/loss", self.train_loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the validation metrics."""
        loss, predicted, y = self.predict(batch)
        self.val_loss(loss)
        self.val_accuracy(predicted, y)
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("val/accuracy", self.val_accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def predict(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss, the predicted classes and the true ones."""
        x, y = batch
        logits = self.network(x)
        return self.loss(logits, y), logits.argmax(1), y

    def configure_optimizers(self) -> Any:
        """Return the optimizer and the scheduler."""
        optimizer = self.make_optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.make_scheduler(optimizer)}


def template(composed: RunConfig, data: Any, directory: Path) -> tuple[pl.Trainer, pl.LightningModule, tuple[Any, Any]]:
    """Return a Trainer with the template's logger, checkpoints and bar, the module, and the loaders of both parts."""
    values = composed.values
    torch.manual_seed(values["seed"])
    loss, optimizer, scheduler = (build(values[name]) for name in ("loss", "optimizer", "scheduler"))
    module = Template(network_for(composed, data), loss, optimizer, scheduler, data.num_outputs)
    best = ModelCheckpoint(directory, monitor=values["monitor"], mode=values["mode"], save_last=True)
    logger = TensorBoardLogger(directory, name="tensorboard")
    given = {key: value for key, value in values["trainer"].items() if key != "_target_"}
    trainer = pl.Trainer(**given, logger=logger, callbacks=[best, TQDMProgressBar()], default_root_dir=directory)
    train, val = (TensorDataset(*data.parts[part]) for part in ("train", "val"))
    size = values["data"]["batch_size"]
    return trainer, module, (DataLoader(train, size, shuffle=True), DataLoader(val, size))
