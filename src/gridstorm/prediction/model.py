"""The model of a run with what was fitted to its data: from samples, as a user has them, to predictions in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import polars as pl
import torch
from torch import Tensor, nn

from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError
from gridstorm.objects import encoding, quiet, restored, trained
from gridstorm.record import RunRecord
from gridstorm.run import threads

TABLES = ("classification", "multilabel", "regression")  # tasks whose predictions are rows of a table


@dataclass(frozen=True)
class Trained:
    """A run's best model, and its data module without its data.

    Args:
        config: The run's configuration.
        network: Its model, in eval mode.
        data: Its data module, as it was fitted.
    """

    config: RunConfig
    network: nn.Module
    data: Any

    @classmethod
    def of(cls, record: RunRecord) -> Self:
        """Return the model of a run; what its record names is checked again.

        Raises:
            UserError: There are no weights, or the run has not kept what was fitted to its data.
        """
        config = record.checked_config
        data = restored(config, record.directory)
        if data is None:
            fact = (
                "It has not kept what was fitted to its data: an earlier Gridstorm trained it, or a class of your own."
            )
            raise UserError([Problem(str(record.directory), fact, "Train it again, or predict in Python.")])
        with quiet():
            network = trained(config, record.directory, data)
        threads(config.values["threads"], network)
        return cls(config, network, data)

    @property
    def task(self) -> str:
        """What it has learned."""
        return str(self.data.task)

    @property
    def batch_size(self) -> int:
        """How many samples it takes at once, as in training."""
        return int(self.config.values["data"].get("batch_size") or 64)

    @cached_property
    def device(self) -> torch.device:
        """Where it computes."""
        parameter = next(self.network.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    @torch.inference_mode()
    def logits(self, x: Tensor, batch_size: int | None = None) -> Tensor:
        """Return what the network returns for inputs [N, ...], batch by batch: on the CPU, [N, ...]."""
        size = batch_size or self.batch_size
        found = [self.network(batch.to(self.device)).cpu() for batch in torch.split(x, size)]
        return torch.cat(found) if found else torch.empty(0)

    def table(self, logits: Tensor) -> pl.DataFrame:
        """Return predictions as a table: a class with its probability, labels, or numbers in their own unit.

        Raises:
            UserError: They are no rows of a table.
        """
        if self.task not in TABLES:
            words = self.task.replace("_", " ")
            raise UserError([Problem("predict", f"What {words} predicts is no table.", "Call the model in Python.")])
        if self.task == "regression":
            unit, shift = (torch.as_tensor(value, dtype=torch.float64) for value in
                           (self.data.target_std, self.data.target_mean))  # fmt: skip
            values = logits.double().reshape(len(logits), -1) * unit + shift
            return pl.DataFrame(dict(zip(self.outputs, values.T.numpy(), strict=True)))
        if self.task == "multilabel":
            return pl.DataFrame(dict(zip(self.outputs, logits.sigmoid().T.numpy(), strict=True)))
        shares = logits.softmax(-1)
        best, names = shares.max(-1), pl.Series(self.classes)
        of_classes = {f"probability_{name}": shares[:, number].numpy() for number, name in enumerate(self.classes)}
        predicted = {"prediction": names[best.indices.numpy()], "probability": best.values.numpy()}
        return pl.DataFrame(predicted | of_classes)

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return [*(self.data.class_names or map(str, range(self.data.num_outputs)))]

    @property
    def outputs(self) -> list[str]:
        """The names of the numbers or labels that are predicted."""
        target = getattr(self.data, "target", None)
        return [column.name for column in target.columns] if target else self._numbered()

    def _numbered(self) -> list[str]:
        count = int(self.data.num_outputs)
        return ["prediction"] if count == 1 else [f"prediction_{number}" for number in range(count)]

    def predict(self, samples: Any, batch_size: int | None = None, name: str = "samples") -> pl.DataFrame:
        """Return the predictions for samples: a table, a mapping of columns, an array, or a tensor of inputs.

        Args:
            samples: What is predicted for.
            batch_size: How many the model takes at once; None takes as many as in training.
            name: What a refusal calls them.

        Raises:
            UserError: They lack something that the model was trained with.
        """
        return self.table(self.logits(self.encoded(samples, name), batch_size))

    def encoded(self, samples: Any, name: str = "samples") -> Tensor:
        """Return the inputs that are made of samples."""
        if isinstance(samples, Tensor):
            return samples
        try:
            return torch.as_tensor(encoding(self.config, self.data).encode(samples))
        except (ValueError, TypeError) as error:
            raise UserError([Problem(name, f"{str(error).rstrip('.')}.", "Give what it was trained with.")]) from error

    def pieces(self, path: str, rows: int) -> Iterator[Any]:
        """Yield the samples of a file in pieces, in the form that the run was trained on."""
        source = encoding(self.config, self.data)
        if not hasattr(source, "samples_in"):
            target = self.config.values["data"]["_target_"]
            fact = f"{target} does not say how it reads a file of new samples."
            raise UserError([Problem(path, fact, "Give it samples_in(path, count), or predict in Python.")])
        yield from source.samples_in(path, rows)


def able_to_predict(config: RunConfig, directory: Path) -> nn.Module:
    """Return the model of a run, with `predict(samples)` where the run has kept what was fitted to its data."""
    data = restored(config, directory)
    network = trained(config, directory, data)
    if data is not None:
        network.predict = partial(Trained.predict, Trained(config, network, data))  # type: ignore[assignment]
    return network
