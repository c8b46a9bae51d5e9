"""What pruner=diagnosis saves, and whether it ever stops a trial that would have won: replayed on recorded sweeps.

    python -m bench.pruner [--epochs 20] [--folder FOLDER]

For each data set and model a sweep of learning rates is trained to its end without a pruner, half of them far too
large. Then it is replayed: after each epoch the pruner is asked of each run, all of them being as old. The sweeps are
kept in the folder, and trained once.
"""

import argparse
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gridstorm.diagnosis import beyond_help, of_record
from gridstorm.diagnosis.diagnose import LEARNED
from gridstorm.pruner.diagnosis import Diagnosis
from gridstorm.record import Trial, trials_in
from gridstorm.report import table

ROOT = Path(__file__).parents[1]
HALF = 5  # of the ten trials of a sweep
RATES = {"sgd": "0.001,0.01,0.03,0.1,0.3,1,3,10,30,100", "adam": "0.0003,0.001,0.003,0.01,0.03,0.3,1,3,10,100"}
WORLDS = {
    "digits": ("linear", "mlp", "cnn", "resnet"), "breast_cancer": ("linear", "mlp", "tabular"),
    "diabetes": ("linear", "mlp", "tabular"), "python_text": ("transformer",),
}  # fmt: skip
EXTRA = {"diabetes": ["loss=mse"], "resnet": ["model.width=8", "trainer.limit_train_batches=10"],
         "transformer": ["model.depth=1", "model.width=32", "model.heads=2", "data.context=32",
                         "trainer.limit_train_batches=30", "trainer.limit_val_batches=10"]}  # fmt: skip


@dataclass
class Replayed:
    """What came out of one sweep.

    Args:
        saved: Share of the seconds that are saved, where what is NaN has ended already without a pruner.
        whole: Share that is saved of the seconds of all runs to their last epochs.
        stopped: Trials that are stopped.
        bad: Trials that end diverged, or worse than the best score by far.
        lost: Those of which no epoch is better by a tenth than a constant guess.
        nan: Those that end by themselves, since the loss is no number.
        best: Whether the best trial is stopped.
    """

    saved: float
    whole: float
    stopped: int
    bad: int
    best: bool
    lost: int
    nan: int


def swept(folder: Path, data: str, model: str, optimizer: str, epochs: int) -> list[Trial]:
    """Train a sweep, or read it where it is there already."""
    name = f"{data}-{model}-{optimizer}"
    if not (folder / "outputs" / name / "results.csv").exists():
        words = [
            f"data={data}",
            f"model={model}",
            f"optimizer={optimizer}",
            f"optimizer.lr={RATES[optimizer]}",
            f"trainer.max_epochs={epochs}",
            f"sweep.name={name}",
            *EXTRA.get(data, []),
            *EXTRA.get(model, []),
        ]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, str(ROOT / "train.py"), "-m", *words], cwd=folder, env=environment,
                       stdout=subprocess.DEVNULL, check=False)  # fmt: skip
    return trials_in(folder / "outputs" / name)


def replayed(trials: list[Trial], rule: Diagnosis, epochs: int) -> Replayed:
    """Replay a sweep, all of whose runs are as old as each other."""
    curves = {trial.number: {int(row["epoch"]): row.get("val/loss") for row in trial.runs[0].record.rows()}
              for trial in trials if trial.runs[0].record}  # fmt: skip
    ends, alive = dict[int, int](), {trial.number: trial for trial in trials if trial.runs[0].record}
    best = dict[int, float]()
    for epoch in range(1, epochs + 1):
        for number in alive:
            score = curves[number].get(epoch)
            if isinstance(score, float) and score == score:
                best[number] = min(score, best.get(number, float("inf")))
        for number, trial in [*alive.items()]:
            own, record = best.get(number, float("inf")), trial.runs[0].record
            if record is None or epoch >= max(curves[number], default=0):
                alive.pop(number)
            elif any(loss < own for other, loss in best.items() if other != number) and beyond_help(
                record, rule.findings, rule.epochs(epoch), epochs
            ):
                ends[number] = epoch
                alive.pop(number)
    spent = {trial.number: (trial.runs[0].result.seconds or 0.0) for trial in trials if trial.runs[0].result}
    saved = sum(spent[number] * (1 - epoch / max(curves[number])) for number, epoch in ends.items())
    each = [spent[number] / max(curves[number]) for number in spent if curves.get(number)]
    whole = epochs * len(trials) * sum(each) / len(each)
    scores = {trial.number: trial.score for trial in trials if trial.score is not None}
    first = min(scores, key=lambda number: scores[number])
    bad = sum(scores.get(trial.number, float("inf")) > 3 * scores[first] for trial in trials)
    runs = [(trial, of_record(trial.runs[0].record) if trial.runs[0].record else None) for trial in trials]
    lost = sum(curves is None or not (trial.score or math.inf) < LEARNED * curves.trivial for trial, curves in runs)
    results = [trial.runs[0].result for trial in trials]
    nan = sum(result is not None and "not_finite" in result.findings for result in results)
    return Replayed(saved / sum(spent.values()), 1 - (sum(spent.values()) - saved) / whole, len(ends), bad,
                    first in ends, lost, nan)  # fmt: skip


def row(found: list[Replayed]) -> tuple[str, ...]:
    """Return the figures of some sweeps: counts are added, shares averaged."""
    saved, whole = (sum(getattr(one, name) for one in found) / len(found) for name in ("saved", "whole"))
    return (str(sum(one.bad for one in found)), str(sum(one.stopped for one in found)), f"{saved:.0%}", f"{whole:.0%}",
            str(sum(one.best for one in found)))  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bench-pruner"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows, every = [], []
    for data, model, optimizer in ((a, b, c) for a, models in WORLDS.items() for b in models for c in RATES):
        found = replayed(swept(asked.folder, data, model, optimizer, asked.epochs), Diagnosis(), asked.epochs)
        every.append(found)
        rows.append((data, model, optimizer, *row([found])))
        sys.stderr.write(f"{rows[-1]}\n")
    half = [one for one in every if one.lost >= HALF]
    rows += [("all", "", f"{len(every)}", *row(every)), ("half diverges", "", f"{len(half)}", *row(half))]
    most = [one for one in half if one.lost - one.nan >= HALF - 1]
    rows += [("most without NaN", "", f"{len(most)}", *row(most)),
             ("least of those", "", "", "", "", f"{min(one.saved for one in most):.0%}", "", "")]  # fmt: skip
    header = ("data", "model", "optimizer", "bad of 10", "stopped", "saved", "with NaN", "the best one stopped")
    print(table([header, *rows], right=[3, 4, 5, 6]))


if __name__ == "__main__":
    main()
