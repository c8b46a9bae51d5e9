"""What a sweep adds to trials of one second: forty of them, two at a time.

    python -m bench.overhead

A trial trains by sleeping, so that two places on two cores are ideal: the sum of the trainings' own times, divided by
two. What is beyond it, from the first run's start to the last one's end, is the overhead; from the command to the first
start is told apart. Wall time.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.compare import ROOT, machine
from gridstorm.report.table import table

REPETITIONS = 3
TARGET = 0.05
TRIALS, PLACES = 40, 2
COMMAND = [
    *("model._target_=bench.sleeper.Sleeper", f"optimizer.weight_decay=range(0,{TRIALS})"),
    *("trainer.max_epochs=1", "trainer.limit_train_batches=10", f"launcher.places={PLACES}", "sweep.name=sleep"),
]


@dataclass(frozen=True)
class Times:
    """When a run's directory was made, its first step began, and its result was written; and how long it trained."""

    made: float
    first_step: float
    ended: float
    trained: float

    @classmethod
    def of(cls, directory: Path) -> "Times":
        """Read a run's directory."""
        made, ended = (directory / name for name in ("origin.json", "result.json"))
        first_step = float((directory / "output.txt").read_text().split()[0])
        trained = json.loads(ended.read_text())["seconds"]
        return cls(made.stat().st_mtime, first_step, ended.stat().st_mtime, trained)


def swept() -> dict[str, float]:
    """Carry out the sweep; return its seconds by name."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "GRIDSTORM_ALLOW": "bench", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "-m", f"output_dir={folder}", *COMMAND]
        start = time.time()
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        over = time.time()
        runs = [Times.of(file.parent) for file in Path(folder).glob("sleep/*/result.json")]
    if len(runs) != TRIALS:
        raise AssertionError(f"{len(runs)} runs, not {TRIALS}.")
    begun, ended = min(run.made for run in runs), max(run.ended for run in runs)
    # A run that ends frees its place for the next first step in time.
    ends, steps = sorted(run.ended for run in runs), sorted(run.first_step for run in runs)
    return {
        "from the first start to the last end": ended - begun,
        "ideal": sum(run.trained for run in runs) / PLACES,
        "command to the first start": begun - start,
        "last end to the prompt": over - ended,
        "of a trial: end to the next first step": statistics.mean(
            step - end for step, end in zip(steps[PLACES:], ends, strict=False)
        ),
        "of a trial: last step to its end": statistics.mean(run.ended - run.first_step - run.trained for run in runs),
    }


def main() -> None:
    """Print the table; end with status 1 where the target is missed."""
    rounds = [swept() for _ in range(REPETITIONS)]
    shown = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    over = statistics.median(one["from the first start to the last end"] / one["ideal"] - 1 for one in rounds)
    print(f"{TRIALS} trials of one second, {PLACES} at a time, wall time, median of {REPETITIONS}; {machine()}\n")
    print(table([("", "seconds"), *((name, f"{value:.3f}") for name, value in shown.items())], right=(1,)))
    print(f"\nThe overhead is {over:.1%} of the ideal; the target is less than {TARGET:.0%}.")
    sys.exit(over >= TARGET)


if __name__ == "__main__":
    main()
