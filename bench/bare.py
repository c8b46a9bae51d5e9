"""The default run written out by hand in plain PyTorch: same weights, batches, metrics, curves and checkpoints."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gridstorm.config.recipe import RunConfig
from gridstorm.objects.build import network_for
from gridstorm.record.tensorboard import EventFile
from gridstorm.target.build import build


class Bare:
    """A classification run without Lightning.

    Args:
        composed: The configuration, of a task of classification with a scheduler that is stepped at each epoch's end.
        data: Its data module, prepared.
        directory: Where its curves and checkpoints go.
        checkpoints: Whether the best and the last state are saved, as a run of ours does.
    """

    def __init__(self, composed: RunConfig, data: Any, directory: Path, checkpoints: bool) -> None:
        values = composed.values
        torch.manual_seed(values["seed"])
        self.network = network_for(composed, data)
        self.loss: nn.Module = build(values["loss"])
        self.optimizer: torch.optim.Optimizer = build(values["optimizer"])(self.network.parameters())
        self.scheduler: torch.optim.lr_scheduler.LRScheduler = build(values["scheduler"])(self.optimizer)
        self.parts, self.batch_size, self.seed = data.parts, values["data"]["batch_size"], values["seed"]
        self.epochs, self.directory, self.checkpoints = values["trainer"]["max_epochs"], directory, checkpoints
        self.events = EventFile(directory)
        self.best, self.step = float("inf"), 0

    def fit(self) -> float:
        """Train; return the seconds that it took."""
        start = time.process_time()
        with (self.directory / "metrics.jsonl").open("w") as curves:
            for epoch in range(self.epochs):
                row = {**self.train(epoch), **self.validate(), "epoch": epoch}
                self.scheduler.step()
                curves.write(json.dumps(row) + "\n")
                curves.flush()
                self.events.scalars(self.step, row)
                if self.checkpoints:
                    self.save(row["val/loss"])
        return time.process_time() - start

    def train(self, epoch: int) -> dict[str, float]:
        """Train one epoch; return its means and the state of the optimizer at its end."""
        (x, y), loss_sum, right = self.parts["train"], torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self.network.train()
        for index in torch.split(self.order(epoch, len(y)), self.batch_size):
            inputs, targets = x[index], y[index]
            logits = self.network(inputs)
            loss = self.loss(logits, targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.detach() * len(targets)
            right += (logits.argmax(-1) == targets).sum()
            self.step += 1
        parameters = list(self.network.parameters())
        return {
            "train/loss": float(loss_sum) / len(y),
            "train/accuracy": float(right) / len(y),
            "lr": self.optimizer.param_groups[0]["lr"],
            "opt/grad_norm": float(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])),
            "opt/weight_norm": float(nn.utils.get_total_norm([p.detach() for p in parameters])),
        }

    def order(self, epoch: int, num_samples: int) -> Tensor:
        """Return the order of an epoch's samples, the same as in a run of ours."""
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**32)
        return torch.randperm(num_samples, generator=generator)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the validation part's means."""
        (x, y), loss_sum, right = self.parts["val"], torch.zeros(()), torch.zeros((), dtype=torch.int64)
        self.network.eval()
        size = self.batch_size
        for inputs, targets in zip(torch.split(x, size), torch.split(y, size), strict=True):
            logits = self.network(inputs)
            loss_sum += self.loss(logits, targets) * len(targets)
            right += (logits.argmax(-1) == targets).sum()
        return {"val/loss": float(loss_sum) / len(y), "val/accuracy": float(right) / len(y)}

    def save(self, score: float) -> None:
        """Save the last state, and as the best one if it is."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save(state, self.directory / "last.ckpt")
        if score < self.best:
            self.best = score
            torch.save(state, self.directory / "best.ckpt")
