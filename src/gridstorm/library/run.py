"""A run that was trained: what its directory says of it, and the model with the weights that it learned."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridstorm.config import MANIFEST, OF_SWEEPS, RunConfig, checked_again, is_file, number
from gridstorm.error import Problem, UserError, silent
from gridstorm.library.session import composing
from gridstorm.library.view import frame, html
from gridstorm.record import Result, RunRecord, Status, records

if TYPE_CHECKING:
    from torch import nn


class Run:
    """A run, read from its directory: nothing in it is changed, and nothing that it names is imported."""

    def __init__(self, directory: str | Path, *, model: Any = None, data: Any = None) -> None:
        """Take the directory of a run.

        Args:
            directory: What `outputs/NAME` is called in what a run prints.
            model: What was given as an object, of a run that was trained with it.
            data: Likewise.

        Raises:
            UserError: There is no run in it.
        """
        self.record = RunRecord(Path(directory))
        self.objects = {name: given for name, given in (("model", model), ("data", data)) if given is not None}

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.record.directory

    @property
    def config(self) -> RunConfig:
        """The configuration that it was started with."""
        return replace(self.record.config, objects=self.objects)

    @property
    def result(self) -> Result | None:
        """What came out, None while it is not over."""
        return self.record.result

    @property
    def status(self) -> Status:
        """What has become of it."""
        if result := self.record.result:
            return result.status
        if self.record.is_held:
            return Status.RUNNING
        return Status.INTERRUPTED if self.record.begun else Status.WAITING

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics at the best score, and those of the test; empty while it is not over."""
        result = self.record.result
        return dict(result.metrics) if result else {}

    def curves(self) -> Any:
        """Return the points of its curves, oldest first: a pandas DataFrame, or where pandas is not there a list."""
        return frame(self.record.rows())

    def model(self) -> "nn.Module":
        """Return the model with the weights of its best score, in eval mode, on the CPU.

        Its `predict(samples)` takes what the run's data module takes: the rows of a table, arrays. It is built without
        the training data, where the run has kept what was fitted to them; a LightningModule of one's own as it is.

        Raises:
            UserError: It cannot be built: a class is not allowed here, is gone, or was given as an object.
        """
        with composing(), silent():
            config = checked_again(self.config) if self.objects else self.record.checked_config
            from gridstorm.prediction import able_to_predict

            return able_to_predict(replace(config, objects=self.objects), self.directory)

    def __repr__(self) -> str:
        """Return its directory, what has become of it, and its score."""
        result = self.record.result
        score = f", {result.monitor} {number(result.score)}" if result and result.score is not None else ""
        return f"Run({str(self.directory)!r}, {self.status}{score})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the metrics, and what was set."""
        config = self.record.config
        chosen = [(group, choice) for group, choice in config.choices.items() if group not in OF_SWEEPS]
        given = [(key, value) for key, value in config.origins.items() if value == "command line"]
        rows = [*chosen, *((key, _at(config.values, key)) for key, _ in given)]
        shown = [(name, number(value)) for name, value in self.metrics.items() if value is not None]
        return html(repr(self), [("hyperparameter", "value"), *rows]) + html("", [("metric", "value"), *shown])


def _at(values: Any, key: str) -> Any:
    """Return the value at a dotted key."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def runs(folder: str | Path = "outputs") -> list[Run]:
    """Return the runs in a folder, by name, those of the sweeps in it too.

    Raises:
        UserError: There is no such folder.
    """
    parent = Path(folder)
    if not parent.is_dir():
        raise UserError([Problem(str(parent), "There is no such directory.", "Name the output_dir of some runs.")])
    sweeps = [place for place in sorted(parent.iterdir()) if is_file(place / MANIFEST)]
    return [Run(record.directory) for place in (parent, *sweeps) for record in records(place)]
