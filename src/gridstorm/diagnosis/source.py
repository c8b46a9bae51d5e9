"""Where curves are read from: records of runs, CSV files, event files of TensorBoard, folders of any of them."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gridstorm.config import leaves
from gridstorm.diagnosis.curves import Curves, Facts, LayerCurves
from gridstorm.diagnosis.table import curves_of
from gridstorm.error import Problem, UserError
from gridstorm.record import Result, RunRecord, Status, is_run, layers, steps

RATES = ("lr", "learning_rate", "max_lr")
HYPERPARAMETERS = "hparams.yaml"  # which Lightning's loggers write beside their files
EVENTS = "events.out.tfevents.*"


def curves_in(path: Path) -> Iterator[Curves]:
    """Yield the curves of each training that is recorded in a file or anywhere below a folder, by name.

    Raises:
        UserError: There is no such file, or one of them cannot be read.
    """
    if not path.exists():
        raise UserError([Problem(str(path), "There is no such file or directory.", "Name one that holds curves.")])
    if path.is_file():
        found = of_csv(path) if path.suffix == ".csv" else of_events(path)
        yield from [found] if found else []
        return
    if is_run(path):
        yield from filter(None, [of_record(RunRecord(path))])
        return
    files = [path / "metrics.csv"] if (path / "metrics.csv").is_file() else sorted(path.glob(EVENTS))[:1]
    readers = {".csv": of_csv}
    yield from filter(None, (readers.get(file.suffix, of_events)(file) for file in files))
    if not files:
        yield from (found for file in sorted(path.glob("*.csv")) if (found := of_csv(file)))
    for inner in sorted(path.iterdir()):
        if inner.is_dir() and not inner.name.startswith("."):
            yield from curves_in(inner)


def of_record(record: RunRecord, result: Result | None = None) -> Curves | None:
    """Return the curves of a run; None where it has none yet.

    Args:
        record: Of the run.
        result: What came out, where the record does not say so yet.
    """
    values, directory = record.config.values, record.directory
    ends: dict[int, int] = {int(row["epoch"]): int(row["step"]) for row in record.rows()}
    return curves_of(
        record.rows(),
        facts=_facts(record, result or record.result),
        name=str(directory),
        monitor=str(values["monitor"]),
        mode=str(values["mode"]),
        losses=[*_of_steps(directory, ends)],
        layers=_of_layers(directory),
    )


def _of_steps(directory: Path, ends: Mapping[int, int]) -> Iterator[tuple[int, int, float | None]]:
    """Yield the losses in steps.jsonl; batches are counted as steps, which they are unless gradients are gathered."""
    batches: dict[int, int] = defaultdict(int)
    for line in steps(directory):
        batches[line["epoch"]] = max(batches[line["epoch"]], line["batch"] + len(line["losses"]))
    for line in steps(directory):
        epoch = line["epoch"]
        first, last = ends.get(epoch - 1, 0), ends.get(epoch, 0)
        share = (last - first) / batches[epoch] if last > first else 1.0
        for number, loss in enumerate(line["losses"], line["batch"] + 1):
            yield first + max(1, round(number * share)), epoch, loss


def _of_layers(directory: Path) -> LayerCurves:
    names, lines = layers(directory)
    tables = (np.array([line[name] for line in lines], float) for name in ("grad", "update", "dead"))
    return LayerCurves(names, np.array([line["step"] for line in lines], float), *tables) if lines else LayerCurves()


def _facts(record: RunRecord, result: Result | None) -> Facts:
    config, environment = record.config, record.environment
    keys = dict(leaves(config.values))
    trivial = environment.get("trivial") or {}
    return Facts(
        keys=keys,
        choices=config.choices,
        lr_key=_rate(keys),
        trivial_loss=trivial.get("loss"),
        trivial_val_loss=trivial.get("val_loss"),
        samples=environment.get("samples"),
        val_samples=environment.get("val_samples"),
        parameters=result.parameters if result else None,
        stopped=bool(result and result.status == Status.PRUNED),
    )


def _rate(keys: Mapping[str, Any]) -> str | None:
    """Return the key of the learning rate: the optimizer's, or what a user's own class calls so."""
    named = ["optimizer.lr", *(key for key in keys if key.rpartition(".")[2] in RATES and key.startswith("model."))]
    plain = [key for key in keys if key in RATES]
    return next((key for key in (*named, *plain) if key in keys), None)


def of_csv(file: Path) -> Curves | None:
    """Return the curves in a CSV file with a column for each metric, as Lightning's and Keras's CSVLogger write it.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            cells = [{name: _cell(cell) for name, cell in row.items() if name} for row in csv.DictReader(opened)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError([Problem(str(file), f"It cannot be read ({error}).", "Name a CSV file of curves.")]) from error
    rows = [{name: cell for name, cell in row.items() if cell is not None} for row in cells]
    return curves_of(rows, facts=_beside(file), name=str(file))


def _cell(cell: Any) -> float | None:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def of_events(file: Path) -> Curves | None:
    """Return the curves in a TensorBoard event file and in those beside it, which TensorBoard reads as one run.

    Raises:
        UserError: It cannot be read.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    try:
        events = EventAccumulator(str(file), {"scalars": 0, "tensors": 0}).Reload()
    except Exception as error:  # of many kinds, by what is in the file
        raise UserError([Problem(str(file), f"It is no event file ({error}).", "Name one of TensorBoard.")]) from error
    rows: dict[int, dict[str, Any]] = defaultdict(dict)
    for tag in events.Tags()["scalars"]:
        for event in events.Scalars(tag):
            rows[event.step][tag] = event.value
    for tag in events.Tags()["tensors"]:
        for event in events.Tensors(tag):
            if event.tensor_proto.dtype == 1 and not event.tensor_proto.tensor_shape.dim:
                rows[event.step][tag] = event.tensor_proto.float_val[0]
    ordered = [{"step": step, **rows[step]} for step in sorted(rows)]
    return curves_of(ordered, facts=_beside(file), name=str(file))


def _beside(file: Path) -> Facts:
    """Return what the hyperparameters say that Lightning's loggers write beside their files."""
    beside = file.parent / HYPERPARAMETERS
    try:
        content = yaml.safe_load(beside.read_text()) if beside.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):
        content = None
    keys = dict(leaves(content)) if isinstance(content, dict) else {}
    return Facts(keys=keys, lr_key=_rate(keys))
