"""A branch: a run that goes on from a state that a finished run kept, with other hyperparameters."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from gridstorm.config import digest, is_file
from gridstorm.error import Problem, UserError
from gridstorm.record.file import BEST, CHECKPOINTS, KEPT, LAST, LAYERS, PARENT, POINTS, STEPS, TEMPORARY, is_run
from gridstorm.record.result import Status
from gridstorm.record.run import RunRecord

NAMED = ("best", "last")


def parent_of(branch: str) -> dict[str, Any]:
    """Return what a recipe holds of the state that its run begins from.

    Args:
        branch: `DIRECTORY@EPOCH`, `DIRECTORY@best` or `DIRECTORY@last`; the directory alone is its last state.

    Raises:
        UserError: There is no run that is over, or it kept no such state.
    """
    record = run_of(branch)
    asked, result = _which(branch), record.result
    if result is None:
        fact = "The run is not over, and may still change what it kept."
        raise UserError(
            [Problem(f"branch={branch}", fact, f"Wait for it, or go on with it: resume={record.directory}")]
        )
    kept, steps = states(record), {row["epoch"]: row["step"] for row in record.rows() if "epoch" in row}
    epoch = {"best": result.best_epoch, "last": result.epochs}.get(asked, int(asked) if asked.isdigit() else None)
    if epoch not in kept or epoch not in steps:
        there = (
            f"The states after these epochs are kept: {', '.join(map(str, sorted(kept)))}." if kept else "No state is."
        )
        remedy = f"Name one of them{'' if asked in NAMED else ', or train with callbacks.checkpoint.every=1'}."
        raise UserError(
            [Problem(f"branch={branch}", f"{there}", remedy if kept else "Train it with callbacks=default.")]
        )
    best = _best_epoch(record, epoch)
    return {
        "directory": str(record.directory), "signature": record.origin.get("signature"), "epoch": epoch,
        "step": steps[epoch], "checkpoint": digest(kept[epoch]), "best_epoch": best if best in kept else epoch,
    }  # fmt: skip


def run_of(branch: str) -> RunRecord:
    """Return the run that a branch begins from.

    Raises:
        UserError: There is none.
    """
    directory = Path(branch) if is_run(Path(branch)) else Path(branch.rpartition("@")[0])
    if not is_run(directory):
        remedy = "Write branch=DIRECTORY@EPOCH, with the directory that a run printed at its end."
        raise UserError([Problem(f"branch={branch}", "There is no run in this directory.", remedy)])
    return RunRecord(directory)


def _which(branch: str) -> str:
    """Return the state that a branch begins from: the number of an epoch, `best` or `last`."""
    return "last" if is_run(Path(branch)) else branch.rpartition("@")[2]


def states(record: RunRecord) -> dict[int, Path]:
    """Return the states that a run kept at ends of epochs, by the epoch (from 1 on)."""
    files = (record.directory / CHECKPOINTS).glob(KEPT.format("*"))
    found = {int(number): file for file in files if (number := file.stem.rpartition("-")[2]).isdigit()}
    result, often = record.result, record.config.values["trainer"].get("val_check_interval")
    if result and result.epochs and result.status != Status.FAILED and (last := record.last_checkpoint):
        found.setdefault(result.epochs, last)
    saver = (record.config.values.get("callbacks") or {}).get("checkpoint") or {}
    is_best = often in (None, 1.0) and saver.get("monitor") == record.config.values["monitor"]
    if result and result.best_epoch and is_best and (best := record.best_checkpoint):
        found.setdefault(result.best_epoch, best)
    return found


def _best_epoch(record: RunRecord, epoch: int) -> int:
    """Return the epoch of the best score up to an epoch, that epoch itself where there is no score."""
    monitor, sign = record.config.values["monitor"], 1 if record.config.values["mode"] == "min" else -1
    scores = [(sign * row[monitor], row["epoch"]) for row in record.rows() if row.get("epoch", epoch + 1) <= epoch
              and isinstance(row.get(monitor), float) and row[monitor] == row[monitor]]  # fmt: skip
    return int(min(scores)[1]) if scores else epoch


def begin(record: RunRecord) -> None:
    """Put into a run's directory what a branch begins from: the state, the best one so far, and the curves.

    Raises:
        UserError: The state is not there any more.
    """
    values, own = record.config.values, record.directory
    parent = values.get("parent")
    if not (parent and values.get("branch")) or record.last_checkpoint:
        return
    there = is_run(Path(parent["directory"]))
    source = RunRecord(Path(parent["directory"])) if there else record
    kept = states(source) if there else {parent["epoch"]: own / PARENT}  # of one that is trained again, a copy
    state, best = (kept.get(parent[name]) for name in ("epoch", "best_epoch"))
    if state is None or not is_file(state) or digest(state) != parent["checkpoint"]:
        fact = f"The state after epoch {parent['epoch']} is not there any more as it was."
        raise UserError([Problem(f"branch={values['branch']}", fact, "Start the branch again.")])
    rows = [row for row in source.rows() if row["step"] <= parent["step"]]
    record.write(POINTS, "".join(json.dumps(row) + "\n" for row in rows))
    for name in (STEPS, LAYERS) if there else ():  # whose later lines are forgotten when the training begins
        if is_file(source.directory / name):
            shutil.copyfile(source.directory / name, own / name)
    beside = own / CHECKPOINTS / f"{TEMPORARY}last.{os.getpid()}"
    for file, place in ((best or state, own / BEST), (state, own / PARENT), (state, beside)):
        if file != place:
            shutil.copyfile(file, place)
    beside.replace(own / LAST)  # the mark that all of it is there
