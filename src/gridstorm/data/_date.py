"""Dates in a table: the one format that a column of texts is written in, and the numbers that are made of times."""

import math
from collections.abc import Iterator
from itertools import product

import polars as pl

LOOKED_AT = 1000  # texts that tell the format
LOOKS = r"^\s*(\d{1,4}[-/. ]\s?(\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
# In order of trust: where two read as many texts, the first is taken. %y before %Y, which takes two digits for a year.
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%d.%m.%Y", "%d/%m/%y", "%d/%m/%Y", "%m/%d/%y", "%m/%d/%Y",
        "%d-%m-%y", "%d-%m-%Y", "%m-%d-%y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y",
        "%b %d %Y")  # fmt: skip
HOURS = ("", " %H:%M", " %H:%M:%S%.f", "T%H:%M", "T%H:%M:%S%.f", "T%H:%M:%S%.fZ", "T%H:%M:%S%.f%#z", " %H:%M:%S%.f%#z",
         " %I:%M %p", " %I:%M:%S %p")  # fmt: skip


def format_of(texts: pl.Series, asked: str = "") -> str:
    """Return the format that reads most of a column's texts, empty where they are no dates.

    Args:
        texts: The column.
        asked: A format that is taken where it reads most of them.
    """
    some = texts.unique(maintain_order=True)[:LOOKED_AT].str.strip_chars()
    looks = some.str.contains(LOOKS)
    if asked and _count(some, asked) > len(some) / 2:
        return asked
    if not len(some) or int(looks.sum()) <= len(some) / 2:
        return ""
    return max(("".join(pair) for pair in product(DAYS, HOURS)), key=lambda one: _count(some, one))


def _count(texts: pl.Series, form: str) -> int:
    return int((times_of(texts, form).dt.year() >= 1000).sum())  # %Y takes the day of 24.12.2024 for a year, too


def is_swappable(texts: pl.Series, form: str) -> bool:
    """Tell whether a format with day and month the other way round reads the texts as well."""
    if form.startswith("%Y") or "%m" not in form:
        return False
    other = form.translate(str.maketrans("dm", "md"))
    return _count(texts, other) >= _count(texts, form)


def times_of(values: pl.Series, form: str) -> pl.Series:
    """Return values as times in UTC; what is none, or is in another format, is missing."""
    if values.dtype == pl.String:
        different = values.unique()
        try:
            times = different.str.strip_chars().str.to_datetime(form or "%Y-%m-%d", strict=False, time_unit="us")
        except pl.exceptions.PolarsError:  # nothing in it looks like a date
            times = pl.Series(values.name, [None] * len(different), dtype=pl.Datetime("us"))
        times = times.dt.replace_time_zone(None)
        return values.replace_strict(different, times, return_dtype=times.dtype)
    if values.dtype in (pl.Date, pl.Datetime, pl.Null):
        times = values.cast(pl.Datetime("us"), strict=False) if values.dtype != pl.Datetime else values
        return times.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    return pl.Series(values.name, [None] * len(values), dtype=pl.Datetime("us"))


def numbers_of(times: pl.Series, has_hours: bool) -> Iterator[pl.Series]:
    """Yield the days since 1970, and the angles of the time of the year, of the week and of the day."""
    seconds = times.dt.epoch("s").cast(pl.Float64)
    yield seconds / 86400
    shares = [times.dt.ordinal_day().cast(pl.Float64) / 365.25, times.dt.weekday().cast(pl.Float64) / 7]
    for share in [*shares, (seconds % 86400) / 86400] if has_hours else shares:
        yield from ((2 * math.pi * share).sin(), (2 * math.pi * share).cos())
