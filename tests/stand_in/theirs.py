"""What a user brings: callbacks, data and losses of their own, in a module that workers can import."""

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Freeze(pl.Callback):
    """Keeps the layers whose names begin so as they are."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name, parameter in pl_module.named_parameters():
            parameter.requires_grad_(not name.removeprefix("network.").startswith(self.prefix))


class Scale(pl.Callback):
    """Multiplies the first weights by a number in a file."""

    def __init__(self, path: str) -> None:
        self.factor = float(Path(path).read_text())

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.mul_(self.factor)


class Logs(pl.Callback):
    """Logs what a user measures: at steps, at ends of epochs, in validation and in the test."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        pl_module.log("mine/step", float(trainer.global_step), on_step=True)
        pl_module.log("samples", 7.0, on_step=False, on_epoch=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("val/f1", 0.5 + trainer.current_epoch)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log("test/f1", 0.75)


class Warns(pl.Callback):
    """Warns of something in each run."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        warnings.warn("These numbers are wrong", UserWarning, stacklevel=1)


class Data(pl.LightningDataModule):
    """Numbers of a user's own, in DataLoaders; targets of any shape, and hooks on a batch's way."""

    task = "regression"
    inputs = "table"
    input_shape = (3,)
    num_outputs = 1

    def __init__(self, target: str = "[N,1]", num_workers: int = 0, local: bool = False) -> None:
        super().__init__()
        self.target, self.num_workers, self.local = target, num_workers, local

    def _loader(self, seed: int) -> DataLoader[Any]:
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(64, 3, generator=draw)
        y = x @ torch.tensor([1.0, -2.0, 0.5])
        y = {"[N]": y, "[N,1]": y[:, None], "[N,2]": torch.stack([y, -y], 1)}[self.target]
        collate = (lambda rows: tuple(map(torch.stack, zip(*rows, strict=True)))) if self.local else None
        return DataLoader(TensorDataset(x, y), 16, num_workers=self.num_workers, collate_fn=collate)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(0)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(1)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(2)


class Classes(Data):
    """Classes whose targets are what a user of another task would give."""

    task = "classification"
    num_outputs = 2

    def _loader(self, seed: int) -> DataLoader[Any]:
        x, y = Data("[N,2]")._loader(seed).dataset[:]
        y = {"[N]": (y[:, 0] > 0).long(), "[N,2]": (y > 0).float()}[self.target]
        return DataLoader(TensorDataset(x, y), 16)


class Pairs(Data):
    """Batches that are not two tensors."""

    def _loader(self, seed: int) -> DataLoader[Any]:
        x, y = Data()._loader(seed).dataset[:]
        return DataLoader(TensorDataset(x, x, y), 16)


class Zeroing(Data):
    """Hooks on a batch's way: without one of them the targets are what they were."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0], batch[1] * 0 + 1

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0] * 0, batch[1] * 3


class Preparing(Data):
    """Data that are there only once they were prepared."""

    def prepare_data(self) -> None:
        Path("prepared").touch()

    def setup(self, stage: str) -> None:
        assert Path("prepared").exists()


class Each(nn.Module):
    """A loss that forgets to be a mean."""

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        return (logits - y).square()


class Flat(nn.Module):
    """A network that forgets the last dimension of its predictions."""

    def __init__(self, input_shape: tuple[int, ...], num_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_shape[0], 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.squeeze(self.linear(x), 1)


class Choosing(Pairs):
    """Batches of three of which a hook chooses two."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0], batch[2]
