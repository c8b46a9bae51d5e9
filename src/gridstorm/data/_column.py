"""The columns of a table: what each of them holds, and the plain numbers and texts that are made of it."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl
import polars.selectors as cs

Kind = Literal["number", "boolean", "category", "date", "left out"]
MISSING = "(missing)"
UNIQUE = 0.9  # share of the rows whose texts differ, above which they are names or free text, and no categories
SURELY = 0.95  # share of the texts that are numbers or times, above which the others are errors
PROBED = 1000  # texts that are looked at first, since most are not what they are tried as
FEWEST = 20  # rows, with fewer of which nothing is called an identifier
TRUE, FALSE = ("true", "yes", "y", "t", "1", "1.0"), ("false", "no", "n", "f", "0", "0.0")
IDENTIFIER = re.compile(r"(^|[_\W])(id|uuid|guid|key|index|rownum)$|[a-z]Id$|^(ID|Id|Unnamed: 0|)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column, as the training part shows it.

    Args:
        name: Its name.
        kind: What it holds.
        note: What was seen, and what is made of it, in words.
        has_hours: Of dates, whether they tell the time of the day.
    """

    name: str
    kind: Kind
    note: str = ""
    has_hours: bool = False

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numbers that are made of it."""
        if self.kind == "date":
            hours = ("hour_sin", "hour_cos") if self.has_hours else ()
            return tuple(
                f"{self.name}:{part}" for part in ("days", "year_sin", "year_cos", "week_sin", "week_cos", *hours)
            )
        return (self.name,) if self.kind in ("number", "boolean") else ()

    def plain(self, column: pl.Series) -> Iterator[pl.Series]:
        """Yield the numbers, or the one text, that are made of a column, in training or in another file."""
        if self.kind == "category":
            yield _texts(column).fill_null(MISSING).alias(self.name)
        elif self.kind == "boolean":
            yield _booleans(column).cast(pl.Float64).alias(self.name)
        elif self.kind == "number":
            yield _numbers(column).alias(self.name)
        elif self.kind == "date":
            yield from (
                part.alias(name) for name, part in zip(self.numbers, _of_dates(column, self.has_hours), strict=True)
            )


def columns_of(frame: pl.DataFrame, train: pl.Series, categories: Collection[str] = ()) -> list[Column]:
    """Return what the columns of a table hold.

    Args:
        frame: The whole table, whose types are looked at.
        train: The numbers of the training rows, whose values are looked at.
        categories: The columns that are categories, though they hold numbers.
    """
    return [_column(frame[name][train], name in categories) for name in frame.columns]


def _column(column: pl.Series, is_category: bool) -> Column:
    name, values = column.name, column.drop_nulls()
    distinct, missing = values.n_unique(), column.null_count()
    gaps = f", {missing} missing" if missing else ""
    if distinct < 2 and not (distinct and missing):
        return Column(name, "left out", f"constant: {values[0]}" if distinct else "empty")
    if is_category:
        return Column(name, "category", f"{distinct} values{gaps}")
    if column.dtype in (pl.Binary, pl.Object):
        return Column(name, "left out", "bytes")
    if column.dtype in (pl.Date, pl.Datetime) or _share(values, _as_dates) > SURELY:
        hours = bool(_as_dates(values).dt.hour().n_unique() > 1)
        return Column(name, "date", f"days, time of the year and of the week{' and day' if hours else ''}{gaps}", hours)
    if column.dtype == pl.Boolean or _share(values, _booleans) == 1:
        return Column(name, "boolean", f"0 and 1{gaps}")
    if column.dtype.is_numeric() or column.dtype in (pl.Duration, pl.Time):
        return _of_numbers(column, gaps)
    if _share(values, _numbers) > SURELY:
        wrong = values.filter(_numbers(values).is_null())
        others = f", {len(wrong)} no numbers (such as {wrong[0]!r})" if len(wrong) else ""
        return Column(name, "number", f"standardized{gaps}{others}")
    if distinct > UNIQUE * len(values) and len(values) >= FEWEST:
        return Column(name, "left out", "identifier or free text: another one in nearly each row")
    return Column(name, "category", f"{distinct} values{gaps}")


def _of_numbers(column: pl.Series, gaps: str) -> Column:
    """Return what a column of numbers holds."""
    name, values = column.name, column.drop_nulls()
    if values.n_unique() == 2 and {*values.unique().to_list()} == {0, 1}:
        return Column(name, "boolean", f"0 and 1{gaps}")
    if column.dtype.is_integer() and _counts_rows(column, values.n_unique()):
        return Column(name, "left out", "identifier: another one in each row")
    return Column(name, "number", f"standardized{gaps}")


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
    return column.cast(pl.Boolean, strict=False)


def _as_dates(column: pl.Series) -> pl.Series:
    """Return values as times; what is none is missing."""
    if column.dtype == pl.String:
        different = column.unique(maintain_order=True)  # few, of which the first tells polars the format
        try:
            times = different.str.to_datetime(strict=False, time_zone=None)
            return column.replace_strict(different, times, return_dtype=times.dtype)
        except pl.exceptions.PolarsError:  # nothing in it looks like a date
            return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime)
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime)
    return column.cast(pl.Datetime, strict=False)


def _of_dates(column: pl.Series, has_hours: bool) -> Iterator[pl.Series]:
    """Yield the days since 1970, and the angles of the time of the year, of the week and of the day."""
    times = _as_dates(column)
    seconds = times.dt.epoch("s").cast(pl.Float64)
    yield seconds / 86400
    day = times.dt.ordinal_day().cast(pl.Float64) / 365.25
    angles: Sequence[pl.Series] = [day, times.dt.weekday().cast(pl.Float64) / 7]
    angles = [*angles, (seconds % 86400) / 86400] if has_hours else angles
    for share in angles:
        yield from ((2 * math.pi * share).sin(), (2 * math.pi * share).cos())


def plain(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """Return the numbers and texts of all columns, the numbers first."""
    parts: list[pl.Series] = []
    for column in columns:
        try:
            parts += column.plain(frame[column.name])
        except pl.exceptions.PolarsError as error:
            fact = f"Its column {column.name!r} is {frame[column.name].dtype}, and training had {column.kind}s there"
            raise ValueError(f"{fact} ({' '.join(str(error).split())[:100]}).") from error
    made = pl.DataFrame(parts)
    return made.select(~cs.string(), cs.string())
