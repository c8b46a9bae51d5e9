"""Curves that others recorded: CSV files, and event files of TensorBoard."""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gridstorm.config import leaves, unreadable_yaml
from gridstorm.diagnosis.curves import Curves, Facts
from gridstorm.diagnosis.table import curves_of
from gridstorm.error import Problem, UserError

RATES = ("lr", "learning_rate", "max_lr")
HYPERPARAMETERS = "hparams.yaml"  # which Lightning's loggers write beside their files
TABLES = (".csv", ".tsv")


def of_csv(file: Path) -> Curves | None:
    """Return the curves in a file with a column for each metric, as Lightning's and Keras's CSVLogger write it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline()
            opened.seek(0)
            mark = max(",;\t", key=first.count)
            cells = [
                {_name(key): _cell(cell) for key, cell in row.items() if key}
                for row in csv.DictReader(opened, delimiter=mark)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(file, error) from error
    rows = [{name: cell for name, cell in row.items() if cell is not None} for row in cells]
    return curves_of(rows, facts=beside(file), name=str(file))


def _name(text: str) -> str:
    """Return a column's name without what an export puts around it: `run - train/loss` of wandb."""
    return text.strip().rpartition(" - ")[2]


def _cell(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def of_events(file: Path) -> Curves | None:
    """Return the curves in a TensorBoard event file and those beside it, which TensorBoard shows as one run.

    Raises:
        UserError: It cannot be read.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    try:
        events = EventAccumulator(str(file.parent), {"scalars": 0, "tensors": 0}).Reload()
    except Exception as error:  # of many kinds, by what is in the file
        raise unreadable(file, error) from error
    rows: dict[int, dict[str, Any]] = defaultdict(dict)
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            rows[event.step][tag] = event.value
    for tag in events.Tags()["tensors"]:
        for event in events.Tensors(tag):
            if event.tensor_proto.dtype == 1 and not event.tensor_proto.tensor_shape.dim:
                rows[event.step][tag] = event.tensor_proto.float_val[0]
    ordered = [{"step": step, **rows[step]} for step in sorted(rows)]
    return curves_of(ordered, facts=beside(file), name=str(file))


def unreadable(file: Path, error: Exception) -> UserError:
    """Return the refusal of a file that holds no curves."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError([Problem(str(file), f"It cannot be read ({reason}).", "Name a CSV file, or an event file.")])


def beside(file: Path) -> Facts:
    """Return what the hyperparameters say that Lightning's loggers write beside their files."""
    hyperparameters = file.parent / HYPERPARAMETERS
    try:
        readable = hyperparameters.is_file() and not unreadable_yaml(hyperparameters)
        content = yaml.safe_load(hyperparameters.read_text(encoding="utf-8")) if readable else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        content = None
    keys = dict(leaves(content)) if isinstance(content, dict) else {}
    return Facts(keys=keys, lr_key=rate_in(keys))


def rate_in(keys: Mapping[str, Any]) -> str | None:
    """Return the key of the learning rate: the optimizer's, or what a user's own class calls so."""
    named = [key for key in keys if key.rpartition(".")[2] in RATES and key.startswith("model.")]
    plain = [key for key in keys if key in RATES]
    rates = [key for key in ("optimizer.lr", *named, *plain) if _is_rate(keys.get(key))]
    return rates[0] if rates else None


def _is_rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf
