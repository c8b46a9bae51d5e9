"""The digits MLP as a plain script of Hydra and Lightning trains it, written as their users write it.

    python bench/hydra_basic.py -m lr=1e-3,1e-2 weight_decay=0,1e-4

Same network, number of samples in each part, batches, epochs, validation, optimizer and checkpoints as
`python train.py data=digits model=mlp`; bench.grid compares the two.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Loader = DataLoader[tuple[Tensor, ...]]


@dataclass
class Config:
    """What can be set on the command line."""

    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 64
    width: int = 128
    max_epochs: int = 5
    seed: int = 0


class Classifier(pl.LightningModule):
    """Two hidden layers."""

    def __init__(self, width: int, lr: float, weight_decay: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss."""
        return self.step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the validation metrics."""
        self.step(batch, "val")

    def step(self, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        """Log the loss and the accuracy, and return the loss."""
        x, y = batch
        logits = self.network(x)
        loss = nn.functional.cross_entropy(logits, y)
        self.log(f"{part}/loss", loss, on_step=False, on_epoch=True)
        self.log(f"{part}/accuracy", (logits.argmax(1) == y).float().mean(), on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"], weight_decay=self.hparams["weight_decay"])


def loaders(batch_size: int) -> tuple[Loader, Loader]:
    """Return the training and the validation batches; the test part, a fifth, stays untouched as in a sweep of ours."""
    x, y = load_digits(return_X_y=True)
    rest_x, _, rest_y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    train_x, val_x, train_y, val_y = train_test_split(rest_x, rest_y, test_size=0.125, stratify=rest_y, random_state=0)
    mean, std = train_x.mean(), train_x.std()

    def dataset(x: Any, y: Any) -> TensorDataset:
        return TensorDataset(torch.tensor((x - mean) / std, dtype=torch.float32), torch.tensor(y))

    train, val = dataset(train_x, train_y), dataset(val_x, val_y)
    return DataLoader(train, batch_size, shuffle=True), DataLoader(val, batch_size)


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(config: Config) -> float:
    """Train one configuration and return its best validation loss."""
    pl.seed_everything(config.seed)
    directory = Path(HydraConfig.get().runtime.output_dir)
    best = ModelCheckpoint(directory / "checkpoints", monitor="val/loss", save_last=True)
    trainer = pl.Trainer(
        max_epochs=config.max_epochs,
        logger=TensorBoardLogger(directory, name="tensorboard"),
        callbacks=[best],
        enable_progress_bar=False,  # the output is no terminal
    )
    trainer.fit(Classifier(config.width, config.lr, config.weight_decay), *loaders(config.batch_size))
    return float(best.best_model_score or float("nan"))


if __name__ == "__main__":
    ConfigStore.instance().store(name="config", node=Config)
    main()
