"""Predictions for a file of new samples, written piece by piece."""

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from gridstorm.error import Problem, UserError, refused
from gridstorm.prediction.model import Trained
from gridstorm.record import RunRecord

AT_ONCE = 50_000  # samples that are in memory
NUMBERS = 2**25  # that they are made of, at most
SHOWN = 5
FORMATS = (".csv", ".parquet", ".jsonl")


def predict(record: RunRecord, path: str, out: Path | None = None, batch_size: int | None = None) -> None:
    """Predict for each sample of a file, and write a table of as many rows: to the screen as CSV, or to a file.

    Args:
        record: Of the run.
        path: The file of samples, in the form that the run was trained on.
        out: A CSV, Parquet or JSON Lines file; nothing is left of it where a sample is refused.
        batch_size: Samples that the model takes at once; None takes as many as in training.

    Raises:
        UserError: The samples lack something, or the file cannot be written.
    """
    if out is not None and (out.suffix not in FORMATS or out.resolve() == Path(path).resolve()):
        fact = "It is the file of samples." if out.suffix in FORMATS else "Its name says no format."
        raise UserError([Problem(f"--out {out}", fact, f"Give another one, that ends in {', '.join(FORMATS)}.")])
    if batch_size is not None and batch_size < 1:
        raise UserError([Problem(f"--batch-size {batch_size}", "It is less than one sample.", "Give 1 or more.")])
    model = Trained.of(record)
    size = batch_size or model.batch_size
    tables = _predicted(model, path, size)
    if out is None:
        for number, table in enumerate(tables):
            sys.stdout.write(table.write_csv(include_header=number == 0))
    else:
        _write(tables, out)


def _predicted(model: Trained, path: str, size: int) -> Iterator[pl.DataFrame]:
    """Yield the predictions of pieces; what training did not see is said once."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    is_empty = True
    most = min(AT_ONCE, NUMBERS // max(1, math.prod(model.data.input_shape)))
    rows = max(1, most // size) * size  # whole batches, as one file of all samples would have them
    try:
        for piece in model.pieces(path, rows):
            is_empty = is_empty and not len(piece)
            if not len(piece):
                continue
            table = model.predict(piece, size, path)
            for words, values in _unseen(model, piece).items():
                if new := sorted({*values} - said[words]):
                    said[words] |= {*new}
                    _say_unseen(words, new)
            names = [*map(str, getattr(piece, "files", ()))]
            yield table.insert_column(0, pl.Series("sample", names)) if names else table
    except ValueError as error:
        raise refused(path, error) from error
    for note in getattr(model.data, "notes", ()):
        print(f"{note}.", file=sys.stderr)
    if is_empty:
        raise UserError([Problem(path, "It has no samples.", "Give a file with some.")])


def _unseen(model: Trained, piece: Any) -> dict[str, list[str]]:
    unseen: dict[str, list[str]] = model.data.unseen(piece) if hasattr(model.data, "unseen") else {}
    return unseen


def _say_unseen(words: str, values: list[str]) -> None:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    print(f"{words} {', '.join(values[:SHOWN])}{more}.", file=sys.stderr)


def _write(tables: Iterator[pl.DataFrame], out: Path) -> None:
    """Write tables to one file, whole or not at all."""
    temporary = out.with_name(f".{out.name}.part")
    try:
        if out.suffix == ".parquet":
            pl.concat([*tables]).write_parquet(temporary)
        else:
            with temporary.open("w", encoding="utf-8") as file:
                for number, table in enumerate(tables):
                    is_first = number == 0
                    file.write(
                        table.write_csv(include_header=is_first) if out.suffix == ".csv" else table.write_ndjson()
                    )
        temporary.replace(out)
    except OSError as error:
        fact = f"It cannot be written ({error.strerror or error})."
        raise UserError([Problem(f"--out {out}", fact, "Give another place.")]) from error
    finally:
        temporary.unlink(missing_ok=True)
