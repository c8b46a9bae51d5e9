"""What came out of a run: its result, and the last lines that it prints."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from torch import nn

from gridstorm.config import RunConfig, number
from gridstorm.module import Module
from gridstorm.objects import num_parameters, tried
from gridstorm.record import COUNTERS, PROFILE, Result, RunRecord, Status
from gridstorm.run.curve import Curve
from gridstorm.run.evaluation import review
from gridstorm.run.verdict import judged, verdict


def at_best(record: RunRecord, result: Result) -> dict[str, float]:
    """Return what the curves show where the score of the best epoch is best, of the last point where there is none."""
    rows, monitor = record.rows(), result.monitor
    scored = [row for row in rows if row["epoch"] == result.best_epoch and row.get(monitor) is not None]
    best = (
        (min if result.mode == "min" else max)(scored, key=lambda row: row[monitor]) if scored else (rows or [{}])[-1]
    )
    beside = [row for row in rows if row.get("step") == best.get("step") and row is not best]  # what others logged
    values = {name: value for row in (*beside, best) for name, value in row.items()}
    return {name: value for name, value in values.items() if name not in COUNTERS and not name.startswith("best/")}


def closing(record: RunRecord, result: Result) -> str:
    """Return the last lines of a run: the best score and when, where the record is, how to look at it."""
    best = "no score"
    if result.score is not None:
        best = f"best {result.monitor} {number(result.score)} in epoch {result.best_epoch}"
    tested = ", ".join(f"{name} {number(value)}" for name, value in result.metrics.items() if name.startswith("test"))
    lines = [f"{best} of {result.epochs}, after {result.seconds:.1f} s{f' ({tested})' if tested else ''}"]
    if result.status == Status.PRUNED:
        asked = record.config.values["trainer"]["max_epochs"]
        lines += [f"stopped after epoch {result.epochs} of {asked}: it was beyond help"]
    lines += [f"verdict {line}" for line in verdict(record)]
    profiles = sorted(record.directory.glob(f"*-{PROFILE}*"))
    lines += [f"profile {file}" for file in profiles]
    look = shlex.quote(str(record.directory.parent))
    return "\n".join([*lines, f"record  {record.directory}", f"look    tensorboard --logdir {look}"])


def conclude(
    config: RunConfig,
    curve: Curve,
    module: pl.LightningModule,
    data: Any,
    tested: dict[str, float],
    early: str | None = None,
    alerts: Sequence[str] = (),
) -> Result:
    """Write the result, and if it was tested (in a run alone) show what came out; return it.

    Args:
        config: The configuration.
        curve: The book of the run.
        module: What was trained.
        data: The data module.
        tested: The test metrics, empty where it was not tested.
        early: Why the run was asked to stop before its end, such as `pruned`.
        alerts: What was warned of while it was trained; may grow here.
    """
    record = curve.record
    status = Status.DIVERGED if curve.diverged else Status(early or Status.DONE)
    result = outcome(config, curve, module, status)
    metrics: dict[str, float | None] = {**at_best(record, result), **tested}
    totals = {"fit/ok": float(not curve.diverged), "fit/params": float(result.parameters or 0)}
    record.events.scalars(curve.progress["samples"], {**totals, "fit/seconds": result.seconds, **tested})
    if isinstance(module, Module) and math.isfinite(
        tested.get("test/loss", math.nan)
    ):  # weights that are no numbers predict nothing
        tried("It is not shown in pictures or text", review, record.events, curve.progress["samples"], module, data)
    findings = tried("Its curves were not judged", judged, record, replace(result, metrics=metrics)) or []
    result = replace(result, metrics=metrics, findings=findings, warnings=[*record.warnings, *alerts])
    record.finish(result)
    return result


def outcome(
    config: RunConfig,
    curve: Curve,
    module: pl.LightningModule,
    status: Status,
    error: str | None = None,
    alerts: Sequence[str] = (),
) -> Result:
    """Return what came out of a run, but for the metrics."""
    progress = curve.progress
    return Result(
        signature=config.signature,
        status=status,
        monitor=config.values["monitor"],
        mode=config.values["mode"],
        score=progress["best_score"],
        best_epoch=progress["best_epoch"],
        epochs=module.current_epoch,
        seconds=round(progress["seconds"], 3),
        parameters=num_parameters(network_of(module)),
        error=error,
        warnings=[*curve.record.warnings, *alerts],
        made_by=curve.record.environment.get("made_by"),
    )


def network_of(module: pl.LightningModule) -> nn.Module:
    """Return what has the parameters that are counted: the network of ours, or all of a user's own module."""
    return module.network if isinstance(module, Module) else module
