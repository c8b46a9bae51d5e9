"""LightningModules as people write them."""

import os
import signal
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytorch_lightning as pl
import torch
import torchmetrics
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer


def layers(*sizes: int) -> nn.Sequential:
    pairs = [[nn.Linear(a, b), nn.ReLU()] for a, b in pairwise(sizes)]
    return nn.Sequential(nn.Flatten(), *[layer for pair in pairs for layer in pair][:-1])


class Base(pl.LightningModule):
    lr: float

    def on_train_epoch_start(self) -> None:
        if os.environ.get("STRANGER_STOPS_AT") == str(self.current_epoch):
            os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if os.environ.get("STRANGER_DIES_AT") == f"{self.current_epoch} {batch_idx}":
            os.kill(os.getpid(), signal.SIGKILL)

    def configure_optimizers(self) -> Any:
        if self.lr < 0:
            raise RuntimeError("no such learning rate")
        return torch.optim.Adam(self.parameters(), self.lr)


class Stop(pl.Callback):
    """Ctrl-C in the epoch that the environment names."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        Base.on_train_epoch_start(trainer)  # type: ignore[arg-type]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        Base.on_train_batch_start(trainer, batch, batch_idx)  # type: ignore[arg-type]


class Autoencoder(Base):
    def __init__(self, lr: float = 0.01, code: int = 4) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.encoder, self.decoder = layers(64, 32, code), layers(code, 32, 64)
        self.error = torchmetrics.MeanSquaredError()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x = batch[0].flatten(1)
        loss = F.mse_loss(self.decoder(self.encoder(x)), x)
        self.log("train/reconstruction", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x = batch[0].flatten(1)
        self.error(self.decoder(self.encoder(x)), x)
        self.log("val/error", self.error)


class GAN(Base):
    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.lr, self.generator, self.critic = lr, layers(8, 32, 64), layers(64, 32, 1)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        x = batch[0].flatten(1)
        both: Any = self.optimizers()
        first, second = both
        made = self.generator(torch.randn(len(x), 8, device=self.device))
        ones, zeros = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        judged = F.binary_cross_entropy_with_logits
        loss = judged(self.critic(x), ones) + judged(self.critic(made.detach()), zeros)
        second.zero_grad()
        self.manual_backward(loss)
        second.step()
        fooled = judged(self.critic(made), ones)
        first.zero_grad()
        self.manual_backward(fooled)
        first.step()
        self.log_dict({"generator": fooled, "critic": loss}, on_step=False, on_epoch=True)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x = batch[0].flatten(1)
        made = self.generator(torch.randn(len(x), 8, device=self.device))
        self.log("gap", (made.mean(0) - x.mean(0)).abs().mean())

    def configure_optimizers(self) -> Any:
        if self.lr < 0:
            raise RuntimeError("no such learning rate")
        return [torch.optim.Adam(part.parameters(), self.lr) for part in (self.generator, self.critic)]


class Contrastive(Base):
    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr, self.encoder = lr, layers(64, 32, 8)

    def loss(self, batch: Any) -> Tensor:
        left, right = (F.normalize(self.encoder(batch[side]), dim=1) for side in ("left", "right"))
        return F.cross_entropy(left @ right.T / 0.1, torch.arange(len(left), device=self.device))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("nce", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_nce", self.loss(batch))


class Segmenter(Base):
    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
        self.iou = torchmetrics.JaccardIndex("multiclass", num_classes=2)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.iou(self.net(batch[0]).argmax(1), batch[1])
        self.log("iou", self.iou)


class Labeler(pl.LightningModule):
    """Takes its optimizer, its scheduler and its loss, as in the usual template."""

    def __init__(self, optimizer: Callable[..., Optimizer], scheduler: Callable[..., Any], num_labels: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.net = nn.Sequential(layers(64, 32, num_labels), nn.Dropout(0.1))
        self.f1 = torchmetrics.F1Score("multilabel", num_labels=num_labels)

    on_train_epoch_start, on_train_batch_start = Base.on_train_epoch_start, Base.on_train_batch_start

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.net(batch[0]), batch[1].float())

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.f1(self.net(batch[0]), batch[1])
        self.log("val/f1", self.f1)

    def configure_optimizers(self) -> Any:
        optimizer = self.hparams["optimizer"](self.parameters())
        if optimizer.param_groups[0]["lr"] > 1:
            raise RuntimeError("no such learning rate")
        return {"optimizer": optimizer, "lr_scheduler": self.hparams["scheduler"](optimizer)}


class Backwards(Base):
    """A sequence to sequence model; its score is logged where the validation ends."""

    def __init__(self, lr: float = 0.01, width: int = 16) -> None:
        super().__init__()
        self.lr = lr
        self.embedding, self.head = nn.Embedding(8, width), nn.Linear(2 * width, 8)
        self.rnn = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.losses: list[Tensor] = []

    def loss(self, batch: Any) -> Tensor:
        source, target = batch
        return F.cross_entropy(self.head(self.rnn(self.embedding(source))[0]).flatten(0, 1), target.flatten())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.losses.append(self.loss(batch))

    def on_validation_epoch_end(self) -> None:
        self.log("nll", torch.stack(self.losses).mean())
        self.losses.clear()


class Student(Base):
    """Learns what a trained autoencoder's code looks like."""

    def __init__(self, teacher: str, lr: float = 0.01) -> None:
        super().__init__()
        self.lr, self.net = lr, layers(64, 16, 4)
        state = torch.load(teacher, weights_only=True)["state_dict"]
        encoder = layers(64, 32, 4)
        encoder.load_state_dict({name[8:]: value for name, value in state.items() if name.startswith("encoder.")})
        self.__dict__["teacher"] = encoder  # no part of what is learned and saved

    def loss(self, batch: Any) -> Tensor:
        with torch.no_grad():
            target = self.__dict__["teacher"](batch[0])
        return F.mse_loss(self.net(batch[0]), target)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("distance", self.loss(batch))


class Classifier(Base):
    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.lr, self.net = lr, layers(64, 16, 10)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))


class Late(Classifier):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch:
            self.log("late", F.cross_entropy(self.net(batch[0]), batch[1]) + self.current_epoch)


class Odd(Classifier):
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = self


class OfTwo(Classifier):
    """Logs of each validation set, per step and per epoch, and of all processes."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.log("train/loss", loss, on_step=True, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]) + dataloader_idx, sync_dist=True)
