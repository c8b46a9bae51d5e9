"""What the directory of a sweep says: its runs, matched by signature, and the manifest that other tools read."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from gridstorm.recipe import Composed
from gridstorm.record import Record, hold, records, write_whole
from gridstorm.refusal import Problem, Refusal
from gridstorm.trial import BAD, Run, Trial

MANIFEST = "sweep.json"


@dataclass(frozen=True)
class Known:
    """A run that stands in the directory.

    Args:
        record: Its directory.
        signature: Of its recipe.
        trial: What its trial is: number, name, seed, values, ask, attrs.
        result: What came out; empty while it is not over.
    """

    record: Record
    signature: str
    trial: dict[str, Any]
    result: dict[str, Any]


class History:
    """The runs of a sweep's directory, which is held against every other sweep until `close`."""

    def __init__(self, directory: Path, monitor: str, mode: str) -> None:
        """Read and hold the directory, which is made if it is missing.

        Raises:
            Refusal: Another sweep works in it, or its scores are of another metric.
        """
        self.directory, self.monitor, self.mode = directory, monitor, mode
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] | None = hold(directory / ".lock", seconds=1.0)
        except OSError as error:
            fact = f"The directory cannot be written ({error.strerror})."
            raise Refusal([Problem(str(directory), fact, "Give another output_dir.")]) from error
        if self._lock is None:
            fact = "Another sweep is at work in this directory."
            raise Refusal([Problem(str(directory), fact, "Wait until it is over, or give another sweep.name.")])
        try:
            clear(directory)
            self.known = read(directory)
            self._refuse_other_scores()
        except Refusal:
            self.close()
            raise

    def _refuse_other_scores(self) -> None:
        results = [one.result for one in self.known if one.result]
        other = next((one for one in results if (one["monitor"], one["mode"]) != (self.monitor, self.mode)), None)
        if other:
            fact = f"The runs in {self.directory} are compared by {other['monitor']} ({other['mode']})."
            given = f"monitor={self.monitor} mode={self.mode}"
            raise Refusal([Problem(given, fact, "Keep that metric, or give another sweep.name.")])

    def close(self) -> None:
        """Let others work in the directory."""
        if self._lock:
            self._lock.close()

    def adopt(self, trials: Sequence[Trial], stale: Callable[[Composed, Known], bool] = lambda *_: False) -> None:
        """Give the runs of these trials the directories that stand for them, and their trials the numbers of these.

        Args:
            trials: What is planned.
            stale: Tells which directories do not count.
        """
        standing: dict[str, Known] = {}
        for one in sorted(self.known, key=lambda one: (bool(one.result), int(one.trial["number"]))):
            standing[one.signature] = one
        for trial in trials:
            for run in trial.runs:
                known = standing.get(run.composed.signature)
                if known and not stale(run.composed, known):
                    run.record, run.result = known.record, known.result
                    trial.number = int(known.trial["number"])

    def number(self, trials: Sequence[Trial]) -> None:
        """Number the trials that have no number, in their order, with numbers that no directory has."""
        taken = {int(one.trial["number"]) for one in self.known} | {trial.number for trial in trials}
        free = (number for number in count(1) if number not in taken)
        for trial in trials:
            trial.number = trial.number or next(free)


def clear(directory: Path) -> None:
    """Remove what a sweep that was killed left half written; only who holds the directory may do so."""
    for left in directory.glob(".*"):
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != ".lock":
            left.unlink()


def read(directory: Path) -> list[Known]:
    """Return the runs of a sweep's directory, by name."""
    found = []
    for record in records(directory):
        origin = record.origin
        if origin.get("trial"):
            found.append(Known(record, origin["signature"], origin["trial"], record.result or {}))
    return found


def create(directory: Path, trial: Trial, run: Run, width: int) -> Record:
    """Make a run's directory: `07-cnn,lr=0.01`, with `,s=1` where a trial has several seeds."""
    name = f"{trial.number:0{width}}-{trial.label[:120]}"
    told: dict[str, Any] = {
        "number": trial.number,
        "name": name,
        "seed": run.seed,
        "values": trial.point,
        "ask": trial.ask,
        "attrs": trial.attrs,
    }
    command = " ".join(["python train.py", *run.composed.overrides])
    return Record.create(
        directory, f"{name},s={run.seed}" if len(trial.runs) > 1 else name, run.composed, command, told
    )


def state(trials: Sequence[Trial], total: int) -> str:
    """Return `64 cells: 41 done, 2 interrupted, 1 failed (out of memory), 20 to go`, counted in runs."""
    counts = Counter(run.status for trial in trials for run in trial.runs)
    errors = Counter(
        str(run.result.get("error") or "").partition(":")[0]
        for trial in trials
        for run in trial.runs
        if run.status == "failed"
    )
    parts = [
        f"{counts[status]} {status}" + (f" ({', '.join(errors)})" if status == "failed" else "")
        for status in ("done", "pruned", "interrupted", "diverged", "failed")
        if counts[status]
    ]
    waiting = total - sum(counts.values()) + counts["waiting"] + counts["running"]
    return f"{total} cells: {', '.join([*parts, f'{waiting} to go'])}"


def write_manifest(directory: Path, trials: Sequence[Trial], told: Mapping[str, Any]) -> None:
    """Write sweep.json, whole or not at all: a view of the directories for other tools.

    A trial and a run have one of the states waiting, running, interrupted, done, pruned, diverged, failed; what is
    running counts as interrupted where no process holds the sweep's `.lock`.
    """
    rows = [
        {
            "number": trial.number,
            "signature": trial.signature,
            "values": trial.point,
            "status": trial.status,
            "score": trial.score,
            "runs": [
                {
                    "directory": run.record.directory.name if run.record else None,
                    "signature": run.composed.signature,
                    "seed": run.seed,
                    "status": run.status,
                    "score": run.score,
                }
                for run in trial.runs
            ],
        }
        for trial in trials
    ]
    write_whole(directory / MANIFEST, json.dumps({**told, "trials": rows}, indent=1))


def to_go(run: Run, pruning: bool) -> bool:
    """Tell whether a run is to be trained in this call: all but what is done, or cut short by a sweep that prunes."""
    return run.status != "done" and not (run.status == "pruned" and pruning)


def reopen(run: Run) -> None:
    """Make a run that ended badly, or was cut short, ready to go on; one that diverged starts anew."""
    if run.record and run.result:
        run.record.reopen(anew=run.status == "diverged")
        run.result = {}


def ended_badly(trials: Sequence[Trial]) -> int:
    """Return how many runs diverged or failed."""
    return sum(run.status in BAD for trial in trials for run in trial.runs)
