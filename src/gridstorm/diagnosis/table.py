"""From rows of logged values to curves, by the names that people give to them."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gridstorm.diagnosis.curves import NOTHING, Curves, Facts, LayerCurves, Numbers

Row = Mapping[str, Any]
Step = tuple[int, int, float | None]  # its number, its epoch and its loss

TRAINED, HELD_OUT = "(train(ing)?|tr)", "(val(id(ation)?)?|eval|dev)"
ENDS = "([/_. -](step|epoch))?$"
TRAINING = re.compile(
    rf"({TRAINED}[/_. -])?(total[/_. -]?)?loss{ENDS}|loss[/_. -]{TRAINED}$|{TRAINED}[/_. -].*loss{ENDS}", re.I
)
VALIDATION = re.compile(rf"{HELD_OUT}[/_. -](.*[/_. -])?loss([/_. -]epoch)?$|loss[/_. -]{HELD_OUT}$", re.I)
SCORES = re.compile(rf"{HELD_OUT}[/_. -](.*[/_. -])?(accuracy|acc|f1|auroc|auc|r2|top1)$", re.I)
PLAIN = re.compile(rf"({TRAINED}|{HELD_OUT})?[/_. -]?(total[/_. -]?)?loss{ENDS}", re.I)  # and no part of one
RATES = re.compile(r"(lr|learning_rate)([/_-].*)?$|opt.*lr$", re.I)
GRADIENTS = re.compile(r"(opt/)?grad(ient)?_norm(_total)?$|grad_2(\.0)?_norm_total$", re.I)
STEPS, EPOCHS = ("step", "_step", "global_step", "iteration"), ("epoch", "_epoch")
PARTS = 30  # into which steps are cut where nobody says what an epoch is


def curves_of(
    rows: Sequence[Row],
    *,
    facts: Facts,
    name: str = "",
    monitor: str | None = None,
    mode: str = "min",
    losses: Sequence[Step] = (),
    layers: LayerCurves | None = None,
) -> Curves | None:
    """Return the curves in rows of logged values; None where there is no training loss among them.

    Args:
        rows: Each with `step` or `epoch`, or neither, and what was logged then; oldest first.
        facts: What is known of how it was trained.
        name: Whose curves they are.
        monitor: The name of the score, None where nobody says.
        mode: Its direction.
        losses: Step from 1, epoch from 1 and training loss of single steps, where they are known apart from the rows.
        layers: What single steps did to each layer.
    """
    rows = _ordered(rows)
    names = [*dict.fromkeys(key for row in rows for key in row)]
    of_training = _chosen(names, TRAINING, ("step", "epoch"))
    of_validation = _chosen(names, VALIDATION, ("epoch",))
    by_epoch = _by_epoch(rows, of_validation)
    stepwise = [*losses] or _logged_steps(of_training, by_epoch)
    if not stepwise:
        return None
    steps, numbers, values = (np.array([math.nan if cell is None else cell for cell in column], float)
                              for column in zip(*stepwise, strict=True))  # fmt: skip
    score, mode = _score(names, of_validation, monitor, mode)
    kept = [epoch for epoch in by_epoch if (numbers == epoch).any()]
    return Curves(
        losses=values,
        steps=steps,
        epochs=numbers,
        train=np.array([_of_epoch(by_epoch[epoch], of_training, values[numbers == epoch]) for epoch in kept]),
        val=_last(by_epoch, kept, of_validation),
        score=_last(by_epoch, kept, score),
        mode=mode,
        monitor=score or of_validation or "",
        ends=np.array([steps[numbers == epoch].max(initial=0) for epoch in kept]),
        grad_norm=_every(rows, _chosen(names, GRADIENTS)),
        lr=_last(by_epoch, kept, _chosen(names, RATES)),
        layers=layers or LayerCurves(),
        facts=facts,
        name=name,
        is_stepwise=len(values) > 2 * len(kept),
    )


def _score(names: Sequence[str], of_validation: str | None, monitor: str | None, mode: str) -> tuple[str | None, str]:
    """Return the metric that is the score beside the loss, None where there is none, and its direction."""
    if monitor is not None:
        return (monitor if monitor in names and monitor != of_validation else None), mode
    score = next(iter(filter(SCORES.match, names)), None)
    return score, "max" if score else mode


def _chosen(names: Sequence[str], pattern: re.Pattern[str], prefer: Sequence[str] = ()) -> str | None:
    """Return the name that fits best: one that ends in the first of `prefer`, then the shortest."""
    fitting = [name for name in names if pattern.match(name)]
    fitting = [name for name in fitting if PLAIN.match(name)] or fitting
    for ending in prefer:
        if chosen := [name for name in fitting if name.lower().endswith(ending)]:
            return min(chosen, key=len)
    return min(fitting, key=len) if fitting else None


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """Return rows by what counts them, called `step` and `epoch`; rows whose counter is no number are left out."""
    for names, called in ((STEPS, "step"), (EPOCHS, "epoch")):
        known = {name for row in rows for name in row if str(name).lower() in names}
        if known:
            name = min(known, key=len)
            rows = [{**row, called: row[name]} if name in row else row for row in rows]
            rows = [row for row in rows if called not in row or _is_count(row[called])]
    for called in ("epoch", "step"):
        if rows and all(called in row for row in rows):
            rows = sorted(rows, key=lambda row: float(row[called]))
    return [*rows]


def _numbered(rows: Sequence[Row], of_validation: str | None) -> Iterable[int]:
    """Yield the epoch of each row, from 1: as it says, or as many as there were validations before it.

    Where there is neither, rows are epochs; many of them, that count steps, are cut into equal parts.
    """
    said = [int(row["epoch"]) for row in rows if "epoch" in row]
    if rows and len(said) == len(rows):
        first = int(min(said) == 0)  # Lightning and Keras count them from 0
        yield from (epoch + first for epoch in said)
        return
    if of_validation is None:
        parts = min(len(rows), PARTS) if any("step" in row for row in rows) else len(rows)
        yield from (1 + number * parts // len(rows) for number in range(len(rows)))
        return
    epoch = 1
    for row in rows:
        yield epoch
        epoch += _is_number(row.get(of_validation))


def _by_epoch(rows: Sequence[Row], of_validation: str | None) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for epoch, row in zip(_numbered(rows, of_validation), rows, strict=True):
        grouped[epoch].append(row)
    return grouped


def _logged_steps(of_training: str | None, by_epoch: Mapping[int, Sequence[Row]]) -> list[Step]:
    """Return step, epoch and training loss of each row that has one."""
    found: list[Step] = []
    for epoch, its in by_epoch.items():
        for row in its:
            if of_training and of_training in row and row[of_training] is not None:
                step = row.get("step")
                found.append((int(step) if _is_number(step) else len(found) + 1, epoch, row[of_training]))  # type: ignore[arg-type]
    return found


def _last(by_epoch: Mapping[int, Sequence[Row]], epochs: Sequence[int], name: str | None) -> Numbers:
    """Return the last value of a metric in each epoch; empty where there never is one.

    Where an epoch has none, that of the epoch before stands for it; one that is not finite is infinite.
    """
    if name is None:
        return NOTHING
    found: list[float] = []
    for epoch in epochs:
        its = [float(row[name]) for row in by_epoch[epoch] if _is_number(row.get(name))]
        found.append((its[-1] if math.isfinite(its[-1]) else math.inf) if its else found[-1] if found else math.nan)
    values = np.array(found, float)
    begin = np.isfinite(values)
    if not begin.any():
        return NOTHING
    values[: int(begin.argmax())] = values[int(begin.argmax())]
    return values


def _every(rows: Sequence[Row], name: str | None) -> Numbers:
    return np.array([row[name] for row in rows if name and _is_number(row.get(name))], float)


def _of_epoch(rows: Sequence[Row], of_training: str | None, losses: Numbers) -> float:
    """Return the training loss of an epoch: as it was logged once, where batches have their weights, else the mean."""
    logged = [row[of_training] for row in rows if of_training and _is_number(row.get(of_training))]
    if len(logged) == 1:
        return float(logged[0])
    return float(losses.mean()) if len(losses) else math.nan


def _is_count(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1e15


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
