"""What a table's target columns say: classes, numbers, or several labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from gridstorm.data._column import MISSING, Column, Kind, columns_of

CLASSES = 20  # different whole numbers, up to which they are taken for classes
TASKS = ("classification", "regression", "multilabel")


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Args:
        columns: What the columns hold.
        task: What is learned.
        classes: The names of the classes, in the order of their numbers; empty where there are none.
        why: Why it is that task, in words.
    """

    columns: tuple[Column, ...]
    task: str
    classes: tuple[str, ...]
    why: str

    @classmethod
    def of_classes(cls, column: str, classes: Sequence[str]) -> "Target":
        """Return the target of a column of classes that are known."""
        return cls((Column(column, "category"),), "classification", tuple(classes), "")

    def encode(self, frame: pl.DataFrame) -> tuple[Tensor, pl.Series]:
        """Return the targets of rows, y [N] or [N, K], and which of them are there; the others are left out.

        Raises:
            ValueError: There is a class that training did not have.
        """
        made = pl.DataFrame([part for column in self.columns for part in column.plain(frame[column.name])])
        if self.task != "classification":
            there = ~made.select(pl.any_horizontal(pl.all().is_null())).to_series()
            return torch.from_numpy(made.filter(there).to_numpy().copy()).double(), there
        [texts] = made
        there = texts != MISSING
        if new := sorted({*texts.filter(there).unique().to_list()} - {*self.classes}):
            raise ValueError(f"Its column {texts.name!r} has the classes {', '.join(new[:5])}, which training had not.")
        numbers = texts.filter(there).replace_strict(
            [*self.classes], [*range(len(self.classes))], return_dtype=pl.Int64
        )
        return torch.from_numpy(numbers.to_numpy().copy()), there


def target_of(frame: pl.DataFrame, names: Sequence[str], asked: str) -> Target:
    """Return what the target columns of a table say.

    Args:
        frame: The table.
        names: The columns.
        asked: The task that was asked for, or `auto`.

    Raises:
        ValueError: They have one value only, or cannot be what was asked for.
    """
    rows = pl.Series([*range(len(frame))])
    columns = columns_of(frame.select(names), rows, names if asked == "classification" else ())
    for column in columns:
        if column.kind == "left out" and not column.note.startswith("identifier"):
            raise ValueError(f"data.target={column.name}: It tells nothing apart ({column.note}). Give another.")
    if asked not in ("auto", *TASKS):
        raise ValueError(f"task={asked}: A table has none. Choose one of {', '.join(TASKS)}, or task=auto.")
    task, why = (asked, "asked for") if asked != "auto" else _seen(frame, columns)
    if task == "classification":
        return _of_classes(frame, columns, why)
    kind: Kind = "boolean" if task == "multilabel" else "number"
    if wrong := [one.name for one in columns if not _can_be(one, frame[one.name], kind)]:
        raise ValueError(f"data.target={wrong[0]}: {_of_others(frame[wrong[0]], task, kind)}")
    return Target(
        tuple(Column(one.name, kind) for one in columns), task, tuple(names) if kind == "boolean" else (), why
    )


def _can_be(column: Column, values: pl.Series, kind: Kind) -> bool:
    """Tell whether a column can be a target of this kind."""
    there = values.drop_nulls()
    [made] = Column(column.name, kind).plain(there)
    return made.null_count() == 0


def _of_others(values: pl.Series, task: str, kind: Kind) -> str:
    """Say which values of a target cannot be what was asked for."""
    [made] = Column(values.name, kind).plain(values)
    rows = (made.is_null() & values.is_not_null()).arg_true()
    words = "0 and 1" if task == "multilabel" else "finite numbers"
    fact = f"task={task} takes {words}, and {len(rows)} rows hold others: {values[int(rows[0])]!r} is the first, in row"
    return f"{fact} {int(rows[0]) + 1}. Correct them, leave them empty, or give another column."


def _seen(frame: pl.DataFrame, columns: Sequence[Column]) -> tuple[str, str]:
    """Return what is learned, as the columns show it, and why."""
    if len(columns) > 1:
        if all(column.kind == "boolean" for column in columns):
            return "multilabel", "several columns of 0 and 1"
        return "regression", "several columns"
    [column], values = columns, frame[columns[0].name].drop_nulls()
    distinct = next(Column(column.name, "category").plain(values)).n_unique()
    if values.dtype.is_numeric() and not (values.dtype.is_integer() or bool((values.round() == values).all())):
        return "regression", f"{column.name} has fractions"
    if values.dtype.is_numeric() and distinct > CLASSES:
        return "regression", f"{column.name} has {distinct} different numbers"
    return "classification", f"{column.name} has {distinct} values"


def _of_classes(frame: pl.DataFrame, columns: Sequence[Column], why: str) -> Target:
    if len(columns) > 1:
        names = ", ".join(column.name for column in columns)
        raise ValueError(f"data.target=[{names}]: task=classification takes one column. Give one of them.")
    column = Column(columns[0].name, "category")
    [texts] = column.plain(frame[column.name])
    counts = texts.filter(texts != MISSING).value_counts().sort(texts.name)
    names, sizes = counts.columns[0], counts["count"]
    if few := counts.filter(sizes < 3)[names].to_list():
        fact = f"The class {few[0]!r} has fewer than 3 samples, and there are three parts."
        raise ValueError(f"data.target={column.name}: {fact} Leave its rows out, or predict numbers: task=regression.")
    classes = counts[names].to_list()
    if all(_is_whole(name) for name in classes):
        classes = sorted(classes, key=int)
    return Target((column,), "classification", tuple(classes), why)


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit()
