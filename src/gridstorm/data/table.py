"""A table of the user's own: CSV, TSV, Parquet or JSON Lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import polars as pl
import torch
from torch import Tensor

from gridstorm.data import Batches, InMemory, Part, moments
from gridstorm.data._column import Column, columns_of
from gridstorm.data._date import format_of, times_of
from gridstorm.data._encoder import Encoder, Scale
from gridstorm.data._frame import chunks, framed, read, refuse_missing
from gridstorm.data._split import split, split_groups, split_names, split_times
from gridstorm.data._target import Target, target_of


class Table(InMemory):
    """A table, in which one row is a sample.

    What has to be fitted (medians, means, the values of categories) is fitted to the training part alone.

    Args:
        path: The file.
        target: The column to predict, or several of numbers or of 0 and 1.
        task: What is learned; `auto` is told by the target.
        ignore: Columns to leave out.
        categories: Columns of numbers that only name something, such as a zip code.
        split: How rows are given to the parts: at random (each class with its share), by whole groups, by time (the
            last ones for the test), or as a column says.
        by: The column that tells the group, the time, or the part; it is no input.
        weight: A column of numbers by which rows count: training rows are drawn in proportion to them, with
            replacement. Metrics count each row once.
        scale: How numbers are scaled: by mean and deviation, by quantiles to a normal distribution, or not at all.
        max_categories: How many values of a column are told apart; the rarest ones count as one.
        date_format: How dates are written, such as `%m/%d/%Y`; empty is told by each column's texts.
    """

    inputs: ClassVar[str] = "table"
    target_mean: float | list[float] = 0.0
    target_std: float | list[float] = 1.0

    def __init__(
        self,
        path: str,
        target: str | list[str],
        task: str = "auto",
        ignore: Sequence[str] = (),
        categories: Sequence[str] = (),
        split: Literal["random", "group", "time", "column"] = "random",
        by: str | None = None,
        weight: str | None = None,
        scale: Scale = "standard",
        max_categories: int = 100,
        date_format: str = "",
        batch_size: int = 64,
        seed: int = 0,
        split_seed: int = 0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
    ) -> None:
        super().__init__(batch_size, seed, split_seed, val_fraction, test_fraction)
        if (by is None) == (split != "random"):
            remedy = "Leave data.by out." if by else "Name it with data.by=COLUMN."
            fact = "goes by no column" if by else "goes by a column"
            raise ValueError(f"data.split={split}: It {fact}. {remedy}")
        self.path, self.targets = path, [target] if isinstance(target, str) else [*target]
        self.asked, self.ignore, self.categories = task, [*ignore], [*categories]
        self.weight, self.weights = weight, cast(Tensor | None, None)
        self.how, self.by, self.scale, self.max_categories = split, by, scale, max_categories
        self.date_format = date_format
        self.encoder: Encoder | None = None
        self.target: Target | None = None
        self.left_out = 0

    def read(self) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts, encoded by what was fitted to the training part: x [N, D], and y in its own unit.

        Raises:
            ValueError: The file, a column or the target is not what it should be.
        """
        frame = read(self.path)
        self._refuse_unknown(frame)
        target = target_of(frame, self.targets, self.asked)
        y, there = target.encode(frame)
        self.left_out, frame = int((~there).sum()), frame.filter(there)
        rows = self._parts(frame, y if target.task == "classification" else None)
        outside = {*self.targets, *self.ignore, *(name for name in (self.by, self.weight) if name)}
        train = pl.Series(rows["train"].numpy())
        inputs = frame.select(name for name in frame.columns if name not in outside)
        columns = columns_of(inputs, train, self.categories, self.date_format)
        self.weights = self._weights(frame[self.weight][train]) if self.weight else None
        if all(column.kind == "left out" for column in columns):
            raise ValueError(f"data.path={self.path}: No column is left to learn from. Give others beside the target.")
        self._adopt(target, Encoder.fit(inputs[train], columns, self.scale, self.max_categories))
        x = torch.from_numpy(self.encoder.encode(inputs))  # type: ignore[union-attr]  # it was made
        return {part: (x[index], y[index]) for part, index in rows.items()}

    def _adopt(self, target: Target, encoder: Encoder) -> None:
        """Take what was fitted, and say of it what a model has to know."""
        self.target, self.encoder = target, encoder
        self.cardinalities, self.input_shape = encoder.cardinalities, (encoder.width,)
        self.class_names = target.classes if target.task == "classification" else ()
        outputs = len(target.classes) if target.task == "classification" else len(target.columns)
        vars(self).update(task=target.task, num_outputs=outputs)

    def _refuse_unknown(self, frame: pl.DataFrame) -> None:
        """Refuse a column that is not there, or holds no plain values."""
        asked = {"target": self.targets, "ignore": self.ignore, "categories": self.categories}
        named = {key: [name] for key, name in (("by", self.by), ("weight", self.weight)) if name}
        for key, columns in {**asked, **named}.items():
            for column in columns:
                refuse_missing(f"data.{key}", column, frame.columns, self.path)
                if frame.schema[column].is_nested() and key != "ignore":
                    raise ValueError(f"data.{key}={column}: It holds lists or structures. Give another column.")

    def _parts(self, frame: pl.DataFrame, classes: Tensor | None) -> dict[Part, Tensor]:
        """Return the numbers of the rows of each part."""
        if self.how == "random":
            return split(len(frame), self.val_fraction, self.test_fraction, self.split_seed, classes)
        values = frame[str(self.by)]
        if values.null_count():
            raise ValueError(f"data.by={self.by}: It is missing in {values.null_count()} rows. Fill them.")
        if self.how == "column":
            try:
                return split_names(values.cast(pl.String).to_list())
            except ValueError as error:
                raise ValueError(f"data.by={self.by}: {error}") from error
        values = self._times(values) if self.how == "time" else values
        ranks = torch.from_numpy(values.rank("dense").to_numpy().astype("int64"))
        if self.how == "time":
            return split_times(ranks, self.val_fraction, self.test_fraction)
        return split_groups(ranks - 1, self.val_fraction, self.test_fraction, self.split_seed)

    def _times(self, values: pl.Series) -> pl.Series:
        """Return values in whose order the rows came; texts are read as dates."""
        if values.dtype != pl.String:
            return values
        times = times_of(values, form := format_of(values, self.date_format))
        if lost := times.null_count():
            wrong = values.filter(times.is_null())[0]
            read = f"no date in the format {form}" if form else "neither a number nor a date"
            fact = f"{wrong!r} is {read}, and {lost - 1} more rows are not." if lost > 1 else f"{wrong!r} is {read}."
            raise ValueError(f"data.by={self.by}: {fact} Write all in one format, or name it by data.date_format.")
        return times

    def _weights(self, column: pl.Series) -> Tensor:
        numbers = column.cast(pl.Float64, strict=False)
        if numbers.null_count() or bool((numbers < 0).any()) or not float(numbers.sum()) > 0:
            fact = "It is no number, or below 0, in some rows."
            raise ValueError(f"data.weight={self.weight}: {fact} Give another column.")
        return torch.from_numpy(numbers.to_numpy().copy())

    def served(self, x: Tensor, y: Tensor, shuffle: bool, rank: int = 0, ranks: int = 1) -> Batches:
        """The batches, those of training drawn by the weights of their rows."""
        return Batches(x, y, self.batch_size, self.seed, shuffle, rank, ranks, self.weights if shuffle else None)

    def prepare(self, parts: dict[Part, tuple[Tensor, Tensor]]) -> dict[Part, tuple[Tensor, Tensor]]:
        """The parts, targets of a regression standardized by the training part."""
        assert self.target is not None
        if self.target.task == "regression":
            self.target_mean, self.target_std = (
                moment.item() if moment.numel() == 1 else moment.flatten().tolist()
                for moment in moments(parts["train"][1], [0])
            )
        return {part: (x, self._scaled(y)) for part, (x, y) in parts.items()}

    def _scaled(self, y: Tensor) -> Tensor:
        """Return targets as training sees them."""
        assert self.target is not None
        if self.target.task == "classification":
            return y
        mean, std = (torch.tensor(value, dtype=y.dtype) for value in (self.target_mean, self.target_std))
        return ((y - mean) / std).float()

    @property
    def why(self) -> str:
        """Why it is that task."""
        return self.target.why if self.target else ""

    @property
    def notes(self) -> list[str]:
        """What is to be known before the training."""
        return [f"Left out: {self.left_out} rows without a target"] if self.left_out else []

    def told(self) -> list[tuple[str, str, str]]:
        """Return name, kind and what was made of each column, as the card shows them."""
        encoder = self.encoder
        return [(column.name, column.kind, column.note) for column in encoder.columns] if encoder else []

    def samples_in(self, path: str, count: int) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file in pieces."""
        yield from chunks(path, count)

    def labelled_in(self, path: str) -> tuple[Tensor, Tensor]:
        """Return the inputs and the targets of a file, rows without a target left out."""
        assert self.target is not None
        frame = read(path)
        lacking = [column.name for column in self.target.columns if column.name not in frame.columns]
        if lacking:
            raise ValueError(f"The file has no column {', '.join(map(repr, lacking))}, which is the target.")
        y, there = self.target.encode(frame)
        return self.encode(frame.filter(there)), self._scaled(y)

    def encode(self, samples: Any) -> Tensor:
        """Return the inputs that are made of rows: a table of polars or pandas, or a mapping of columns."""
        assert self.encoder is not None
        return torch.from_numpy(self.encoder.encode(framed(samples)))

    def unseen(self, samples: pl.DataFrame) -> dict[str, list[str]]:
        """Return what rows hold that training did not, by what is done with it."""
        return self.encoder.unseen(samples) if self.encoder else {}

    def fitted(self) -> dict[str, Any]:
        """Return what was fitted, beside the file of the encoder, as JSON has it."""
        assert self.target is not None and self.encoder is not None
        return {
            "columns": [column.content() for column in self.encoder.columns],
            "target": [column.content() for column in self.target.columns],
            "task": self.target.task,
            "classes": [*self.target.classes],
        }

    def save(self, file: Path) -> None:
        """Write what JSON cannot hold to a file."""
        assert self.encoder is not None
        self.encoder.save(file)

    def restore(self, fitted: dict[str, Any], file: Path) -> None:
        """Take up what was fitted, without the file that it was fitted to."""
        columns = [Column(**content) for content in fitted["columns"]]
        target = Target(tuple(Column(**one) for one in fitted["target"]), fitted["task"], tuple(fitted["classes"]), "")
        self._adopt(target, Encoder.read(columns, file))
