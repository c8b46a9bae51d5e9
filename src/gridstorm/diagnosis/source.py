"""Where curves are read from: records of runs, CSV files, event files of TensorBoard, folders of any of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gridstorm.config import MANIFEST, is_file, leaves
from gridstorm.diagnosis.curves import Curves, Facts, LayerCurves
from gridstorm.diagnosis.plain import TABLES, of_csv, of_events, rate_in
from gridstorm.diagnosis.table import curves_of
from gridstorm.error import Problem, UserError
from gridstorm.record import Result, RunRecord, Status, is_number, is_run, layers, steps

EVENTS = "events.out.tfevents.*"


def curves_in(path: Path) -> Iterator[Curves]:
    """Yield the curves of each training that is recorded in a file or anywhere below a folder, by name.

    In a folder, files that cannot be read are passed over, unless there is nothing else.

    Raises:
        UserError: There is no such file, or nothing in it can be read.
    """
    if not path.exists():
        raise UserError([Problem(str(path), "There is no such file or directory.", "Name one that holds curves.")])
    refused: list[Problem] = []
    found = False
    for place in _places(path, set(), refused):
        try:
            curves = _read(place)
        except UserError as refusal:
            refused += refusal.problems
            continue
        if curves:
            found = True
            yield curves
    if refused and not found:
        raise UserError(refused)


def _places(path: Path, seen: set[Path], refused: list[Problem]) -> Iterator[Path]:
    """Yield the runs and the files in which there may be curves, each folder once, whatever links lead to it."""
    if path.is_file() or is_run(path):
        yield path
        return
    if not path.is_dir() or (real := path.resolve()) in seen:
        if not path.is_dir():
            refused.append(Problem(str(path), "It is no file and no folder.", "Name a CSV file, or an event file."))
        return
    seen.add(real)
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        refused.append(Problem(str(path), f"It cannot be read ({error.strerror}).", "Ask for the right to read it."))
        return
    files = [one for one in inside if one.is_file()]
    tables = [file for file in files if file.suffix.lower() in TABLES and file.stat().st_size]
    if not is_file(path / MANIFEST):  # what a sweep leaves beside its runs holds no curves
        yield from tables or sorted(path.glob(EVENTS))[:1]
    for folder in inside:
        if folder.is_dir() and not folder.name.startswith("."):
            yield from _places(folder, seen, refused)


def _read(place: Path) -> Curves | None:
    """Return the curves at a place, None where there are none."""
    if place.is_dir():
        return of_record(RunRecord(place))
    return of_csv(place) if place.suffix.lower() in TABLES else of_events(place)


def of_record(record: RunRecord, result: Result | None = None, until: int | None = None) -> Curves | None:
    """Return the curves of a run; None where it has none yet.

    Args:
        record: Of the run.
        result: What came out, where the record does not say so yet.
        until: The last epoch that is looked at, of a run that may have trained longer; None for all.
    """
    values, directory = record.config.values, record.directory
    rows = [row for row in record.rows() if until is None or row["epoch"] <= until]
    ends = {int(row["epoch"]): int(row["step"]) for row in rows}
    return curves_of(
        rows,
        facts=_facts(record, result or record.result),
        name=str(directory),
        monitor=str(values["monitor"]),
        mode=str(values["mode"]),
        losses=[*_of_steps(directory, ends, until)],
        layers=_of_layers(directory, until),
    )


def _of_steps(
    directory: Path, ends: Mapping[int, int], until: int | None = None
) -> Iterator[tuple[int, int, float | None]]:
    """Yield the losses in steps.jsonl; batches are counted as steps, which they are unless gradients are gathered."""
    lines, batches = [*_before(steps(directory), until)], defaultdict[int, int](int)
    for line in lines:
        batches[line["epoch"]] = max(batches[line["epoch"]], line["batch"] + len(line["losses"]))
    for line in lines:
        epoch = line["epoch"]
        first, last = ends.get(epoch - 1, 0), ends.get(epoch, 0)
        share = (last - first) / batches[epoch] if last > first else 1.0
        for number, loss in enumerate(line["losses"], line["batch"] + 1):
            yield first + max(1, round(number * share)), epoch, loss


def _before(lines: Iterable[dict[str, Any]], until: int | None) -> Iterator[dict[str, Any]]:
    return (line for line in lines if until is None or line["epoch"] <= until)


def _of_layers(directory: Path, until: int | None = None) -> LayerCurves:
    names, every = layers(directory)
    lines = [*_before(every, until)]
    tables = (np.array([line[name] for line in lines], float) for name in ("grad", "update", "dead"))
    return LayerCurves(names, np.array([line["step"] for line in lines], float), *tables) if lines else LayerCurves()


def _facts(record: RunRecord, result: Result | None) -> Facts:
    config, environment = record.config, record.environment
    keys = dict(leaves(config.values))
    trivial, val_samples = environment.get("trivial"), environment.get("val_samples")
    known = {name: loss for name, loss in trivial.items() if is_number(loss)} if isinstance(trivial, dict) else {}
    return Facts(
        keys=keys,
        choices=config.choices,
        lr_key=rate_in(keys),
        trivial_loss=known.get("loss"),
        trivial_val_loss=known.get("val_loss"),
        val_samples=val_samples if is_number(val_samples) and (val_samples or 0) > 0 else None,
        stopped=bool(result and result.status == Status.PRUNED),
    )
