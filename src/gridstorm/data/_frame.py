"""Tables in files: CSV, TSV, Parquet or JSON Lines, compressed or not, read by polars."""

import csv
import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

NULLS = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?"]  # what stands for a value that is missing
CODE = r"^\s*-?0\d"  # such as 01067, which is a name, and no number
SEPARATORS = ",;\t|"
SHOWN, LISTED = 5, 10  # lines, and columns, that are named
KINDS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet",
         ".jsonl": "jsonl", ".ndjson": "jsonl"}  # fmt: skip


def kind_of(file: Path) -> str:
    """Return `csv`, `parquet` or `jsonl`, as the file's name says. Raises ValueError for another name."""
    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() not in (".gz", ".zst")]
    if suffixes and (kind := KINDS.get(suffixes[-1])):
        return kind
    raise ValueError(f"{file}: Its name does not say what it holds. Give a file that ends in {', '.join(KINDS)}.")


def checked(path: str, key: str) -> Path:
    """Return the path of a file that can be read. Raises ValueError where it is none."""
    try:
        file = Path(path).expanduser()
        if file.is_dir():
            raise ValueError(f"{key}={path}: It is a directory. Give the path of a file.")
        if file.exists() and not file.is_file():  # such as a pipe, whose end would be waited for
            raise ValueError(f"{key}={path}: It is no regular file. Give the path of a file.")
        with file.open("rb"):
            return file
    except (OSError, RuntimeError) as error:  # the second where `~NAME` names nobody
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{key}={path} cannot be read ({reason}). Give the path of a file.") from error


def read(path: str, key: str = "data.path") -> pl.DataFrame:
    """Return the whole table of a file.

    Args:
        path: The file.
        key: What gave it, for the words of a refusal.

    Raises:
        ValueError: It cannot be read, is empty, or has rows that are longer than its header.
    """
    file = checked(path, key)
    frame: pl.DataFrame = _carefully(file, key, lambda: _scan(file).collect())
    columns = frame.get_columns()[::-1]
    del frame  # so that each column's texts go as soon as it is typed
    frame = pl.DataFrame([_typed(columns.pop()) for _ in range(len(columns))])
    if not frame.width or not frame.height:
        raise ValueError(f"{key}={path} has no rows. Give a file with a header and rows.")
    return frame


def chunks(path: str, rows: int, key: str = "FILE") -> Iterator[pl.DataFrame]:
    """Yield a table in pieces of some rows, of which only one is in memory.

    Raises:
        ValueError: It cannot be read.
    """
    file = checked(path, key)
    pieces = iter(_carefully(file, key, lambda: _scan(file).collect_batches(chunk_size=rows)))
    while (piece := _carefully(file, key, lambda: next(pieces, None))) is not None:
        yield piece


def refuse_missing(key: str, name: str, names: Sequence[str], path: str) -> None:
    """Refuse a column that a table has not. Raises ValueError, with what may have been meant."""
    if name not in names:
        close = get_close_matches(name, names, 1)
        listed = f"It has {', '.join(names[:LISTED])}{', ...' if len(names) > LISTED else ''}."
        meant = f"Did you mean {close[0]}?" if close else listed
        raise ValueError(f"{key}={name}: {path} has no such column. {meant}")


def framed(samples: Any) -> pl.DataFrame:
    """Return rows as a table: of polars or pandas, or a mapping of columns."""
    return pl.from_pandas(samples) if type(samples).__module__.startswith("pandas") else pl.DataFrame(samples)


def _typed(column: pl.Series) -> pl.Series:
    """Return texts that are all numbers as such; polars' own guess at types takes ten times as long as reading."""
    if column.dtype != pl.String or bool(column.str.contains(CODE).any()):
        return column
    for kind in (pl.Int64, pl.Float64):
        numbers = column.cast(kind, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column


def _scan(file: Path) -> pl.LazyFrame:
    """Return a table that is not read yet; every cell of a CSV file is a text."""
    kind = kind_of(file)
    if kind == "parquet":
        return pl.scan_parquet(file, glob=False)
    if kind == "jsonl":
        return pl.scan_ndjson(file, infer_schema_length=None)
    separator = _separator(file)
    cells = pl.scan_csv(
        file, separator=separator, null_values=NULLS, glob=False, raise_if_empty=False, infer_schema_length=0
    )
    return cells.with_columns(pl.all().str.replace(r"^(-?\d+),(\d+)$", "$1.$2")) if separator == ";" else cells


def _separator(file: Path) -> str:
    """Return what separates the cells of a CSV file: a tab in a TSV, else what its header has most of, unquoted."""
    if ".tsv" in file.suffixes:
        return "\t"
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", errors="replace") as lines:
        return max(SEPARATORS, key=re.sub(r'"[^"]*"', "", lines.readline()).count)


def _carefully(file: Path, key: str, action: Callable[[], Any]) -> Any:
    """Carry out what reads a file; whatever polars raises is said in words."""
    try:
        return action()
    except (pl.exceptions.PolarsError, OSError) as error:
        text = " ".join(str(error).split())
        if "more fields" in text:
            raise ValueError(f"{key}={file}: {_ragged(file)} Correct the file.") from error
        if "utf-8" in text.lower() or "utf8" in text.lower():
            raise ValueError(f"{key}={file}: It is no text in UTF-8. Save it as UTF-8.") from error
        raise ValueError(f"{key}={file} cannot be read ({text[:200].rstrip('.')}). Give another file.") from error


def _ragged(file: Path) -> str:
    """Return the lines of a CSV file that have more cells than its header."""
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", errors="replace", newline="") as lines:
        rows = csv.reader(lines, delimiter=_separator(file))
        width = len(next(rows))
        found = [(rows.line_num, len(row)) for row in rows if len(row) > width]
    named = ", ".join(f"line {line} has {cells}" for line, cells in found[:SHOWN])
    more = f", and {len(found) - SHOWN} more lines are too long" if len(found) > SHOWN else ""
    return f"Its header has {width} cells, and {named}{more}."
