"""The columns of a table: what each of them holds, and the plain numbers and texts that are made of it."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import polars as pl
import polars.selectors as cs

from gridstorm.data._date import format_of, is_swappable, numbers_of, times_of
from gridstorm.data._frame import CODE

Kind = Literal["number", "boolean", "category", "date", "left out"]
MISSING = "(missing)"
UNIQUE = 0.9  # share of the rows whose texts differ, above which they are names or free text, and no categories
SURELY = 0.95  # share of the texts that are numbers or times, above which the others are errors
PROBED = 1000  # texts that are looked at first, since most are not what they are tried as
FEWEST = 20  # rows, with fewer of which nothing is called an identifier
TRUE, FALSE = ("true", "yes", "y", "t", "1", "1.0"), ("false", "no", "n", "f", "0", "0.0")
WRITTEN = r"^\s*[$€£¥+-]*\s*\d{1,3}([.,']?\d{3})*([.,]\d+)?\s*[%$€£¥]?\s*$"  # a number as people write it
IDENTIFIER = re.compile(r"(^|[_\W])(id|uuid|guid|key|index|rownum)$|[a-z]Id$|^(ID|Id|Unnamed: 0|)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column, as the training part shows it.

    Args:
        name: Its name.
        kind: What it holds.
        note: What was seen, and what is made of it, in words.
        has_gaps: Whether values are missing, or are not of that kind.
        has_hours: Of dates, whether they tell the time of the day.
        form: Of dates that are texts, the format that they are read by.
    """

    name: str
    kind: Kind
    note: str = ""
    has_gaps: bool = False
    has_hours: bool = False
    form: str = ""

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def plain(self, column: pl.Series) -> Iterator[pl.Series]:
        """Yield the numbers, or the one text, that are made of a column, in training or in another file."""
        if self.kind == "category":
            yield _texts(column).fill_null(MISSING).alias(self.name)
        elif self.kind == "boolean":
            yield _booleans(column).cast(pl.Float64).alias(self.name)
        elif self.kind == "number":
            yield _numbers(column).alias(self.name)
        elif self.kind == "date":
            yield from numbers_of(times_of(column, self.form), self.has_hours)

    def unread(self, column: pl.Series) -> list[str]:
        """Return the texts that are there and are not of this kind, each once."""
        if self.kind in ("category", "left out") or column.dtype != pl.String:
            return []
        made = next(self.plain(column))
        return column.filter(made.is_null() & column.is_not_null()).unique().sort().to_list()


def columns_of(
    frame: pl.DataFrame, train: pl.Series, categories: Collection[str] = (), date_format: str = ""
) -> list[Column]:
    """Return what the columns of a table hold.

    Args:
        frame: The whole table, whose types are looked at.
        train: The numbers of the training rows, whose values are looked at.
        categories: The columns that are categories, though they hold numbers.
        date_format: How dates are written; empty is told by each column's texts.
    """
    found = []
    for name in frame.columns:
        column = frame[name][train]
        one = _column(column, name in categories, date_format)
        wrong = one.unread(column)
        missing = column.null_count()
        gaps = [f"{missing} missing"] if missing else []
        gaps += [f"{len(wrong)} that are no {one.kind} (such as {wrong[0]!r})"] if wrong else []
        note = one.note if one.kind == "left out" else ", ".join((one.note, *gaps))
        found.append(replace(one, note=note, has_gaps=bool(gaps)))
    return found


def _column(column: pl.Series, is_category: bool, date_format: str) -> Column:
    name, kind = column.name, column.dtype
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        return Column(name, "left out", "lists or structures" if kind.is_nested() else "bytes")
    values, missing = column.drop_nulls(), column.null_count()
    distinct = values.n_unique()
    if distinct < 2 and not (distinct and missing):
        return Column(name, "left out", f"constant: {values[0]}" if distinct else "empty")
    if is_category or kind in (pl.Categorical, pl.Enum):
        return Column(name, "category", f"{distinct} values")
    if kind == pl.Boolean:
        return Column(name, "boolean", "0 and 1")
    if kind in (pl.Date, pl.Datetime):
        return _of_dates(values, "")
    return (
        _of_numbers(column) if kind.is_numeric() or kind in (pl.Duration, pl.Time) else _of_texts(values, date_format)
    )


def _of_texts(values: pl.Series, date_format: str) -> Column:
    """Return what a column of texts holds, none of which is missing."""
    name, distinct = values.name, values.n_unique()
    form = format_of(values, date_format)
    if form and _share(values, lambda some: times_of(some, form)) > SURELY:
        return _of_dates(values, form)
    if _share(values, _booleans) == 1:
        return Column(name, "boolean", "0 and 1")
    if not values.str.contains(CODE).any():
        if _share(values, _numbers) > SURELY:
            return Column(name, "number", "standardized")
        if int(values.str.contains(WRITTEN).sum()) > SURELY * len(values):
            return Column(name, "left out", f"numbers such as {values[0]!r}, which are not read: write them as 1234.5")
    if distinct > UNIQUE * len(values) and len(values) >= FEWEST:
        return Column(name, "left out", "identifier or free text: another one in nearly each row")
    return Column(name, "category", f"{distinct} values")


def _of_dates(values: pl.Series, form: str) -> Column:
    """Return what a column of dates holds."""
    has_hours = bool(times_of(values, form).drop_nulls().dt.hour().n_unique() > 1)
    read = f", read as {form}" if form else ""
    other = " (another order of day and month would do as well: data.date_format)" if is_swappable(values, form) else ""
    note = f"days, time of the year and of the week{' and day' if has_hours else ''}{read}{other}"
    return Column(values.name, "date", note, has_hours=has_hours, form=form)


def _of_numbers(column: pl.Series) -> Column:
    """Return what a column of numbers holds."""
    name, values = column.name, column.drop_nulls()
    if values.n_unique() == 2 and {*values.unique().to_list()} == {0, 1}:
        return Column(name, "boolean", "0 and 1")
    if column.dtype.is_integer() and _counts_rows(column, values.n_unique()):
        return Column(name, "left out", "identifier: another one in each row")
    return Column(name, "number", "standardized")


def _counts_rows(column: pl.Series, distinct: int) -> bool:
    """Tell whether whole numbers only name the rows: all differ, and the column's name or their order says so."""
    if distinct < len(column) or len(column) < FEWEST:
        return False
    return bool(IDENTIFIER.search(column.name)) or int(column.max()) - int(column.min()) < 2 * len(column)  # type: ignore[arg-type]


def _share(values: pl.Series, parse: Callable[[pl.Series], pl.Series]) -> float:
    """Return the share of texts that can be read as something else; 0 of what is no text."""
    if values.dtype != pl.String or not len(values) or parse(values[:PROBED]).null_count() > len(values[:PROBED]) / 2:
        return 0.0
    different = values.unique()
    return 1 - parse(different).null_count() / len(different)


def _texts(column: pl.Series) -> pl.Series:
    """Return values as texts, equal ones equally: 1.0 as 1."""
    if column.dtype.is_float() and bool((column.drop_nulls().round() == column.drop_nulls()).all()):
        column = column.cast(pl.Int64, strict=False)
    if column.dtype == pl.String:
        return column.str.strip_chars().str.replace(r"^(-?[1-9]\d*|0)\.0+$", "$1")  # as numbers are written above
    return column.cast(pl.String)


def _numbers(column: pl.Series) -> pl.Series:
    """Return values as finite numbers; what is none is missing."""
    if column.dtype == pl.String:
        column = column.str.strip_chars()
    if column.dtype in (pl.Duration, pl.Time):
        column = column.to_physical()
    numbers = column.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite().fill_null(False), None)


def _booleans(column: pl.Series) -> pl.Series:
    """Return values as truth; what is none is missing."""
    if column.dtype == pl.String:
        words = column.str.strip_chars().str.to_lowercase()
        known = words.is_in([*TRUE, *FALSE])
        return words.is_in(TRUE).set(~known.fill_null(False), None)
    if column.dtype.is_numeric():
        return (column == 1).set(((column != 0) & (column != 1)).fill_null(False), None)
    return column.cast(pl.Boolean, strict=False)


def plain(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the numbers and texts of all columns, the numbers first; they are named by their places."""
    parts: list[pl.Series] = []
    for column in columns:
        try:
            parts += column.plain(frame[column.name])
        except pl.exceptions.PolarsError as error:
            fact = f"Its column {column.name!r} is {frame[column.name].dtype}, and training had {column.kind}s there"
            raise ValueError(f"{fact} ({' '.join(str(error).split())[:100]}).") from error
    # By their own names, those that are made of a date, or stand for missing values, could meet a column's.
    made = pl.DataFrame([part.alias(str(place)) for place, part in enumerate(parts)])
    return made.select(~cs.string(), cs.string())
