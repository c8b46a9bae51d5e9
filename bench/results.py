"""Reading a sweep's directory with a thousand finished runs, and the whole second call of the same command.

    python -m bench.results

Two runs are trained; the other 998 have their own configuration, number and signature, and share the first one's
checkpoints, curves and score. Wall time, files in the system's cache.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.compare import ROOT, machine
from gridstorm.command.hydra import hydra_in
from gridstorm.record.run import RunRecord
from gridstorm.record.sweep import create, read
from gridstorm.record.trial import Trial
from gridstorm.report.table import table
from gridstorm.sampler.grid import Grid
from gridstorm.sweeper.plan import Plan, checked

REPETITIONS = 5
TARGET = 0.5
SHORT = ["sweep.name=many", "trainer.max_epochs=2"]
GRID = ["optimizer.lr=range(0.001,0.011,0.001)", "optimizer.weight_decay=range(0,10)", "data.batch_size=range(60,70)"]
FIRST = ["optimizer.lr=0.001,0.002", "optimizer.weight_decay=0", "data.batch_size=60"]


def call(folder: Path, *texts: str) -> tuple[float, str]:
    """Return the wall time of a sweep in `folder`, and what it printed."""
    command = [sys.executable, "train.py", "-m", f"output_dir={folder}", *SHORT, *texts]
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return time.monotonic() - start, done.stdout


def fill(folder: Path) -> None:
    """Make the directories of a thousand runs, all of them over."""
    call(folder, *FIRST)
    trained = [RunRecord(file.parent) for file in sorted(folder.glob("many/*/result.json"))]
    known = {record.origin["signature"] for record in trained}
    loader = hydra_in(None).config_loader
    plan = Plan(loader, "config", [f"output_dir={folder}", *SHORT, *GRID])
    for number, trial in enumerate(checked(plan, Grid()(plan.axes, plan.choices)), 1):
        trial.number = number
        if trial.signature not in known:
            copy(trained[0], trial)


def copy(done: RunRecord, trial: Trial) -> None:
    """Make a trial's directory with what came out of a run that is over; its files are other names of the same ones."""
    assert done.result
    record = create(done.directory.parent, trial, trial.runs[0], 4)
    own = shutil.ignore_patterns("config.yaml", "origin.json", "result.json")
    shutil.copytree(done.directory, record.directory, copy_function=os.link, ignore=own, dirs_exist_ok=True)
    record.write("result.json", json.dumps({**done.result.content(), "signature": trial.signature}, indent=1))


def timed(folder: Path) -> float:
    """Return the seconds of reading the directory."""
    start = time.perf_counter()
    if len(read(folder)) != 1000:
        raise AssertionError("There are not a thousand runs.")
    return time.perf_counter() - start


def main() -> None:
    """Print the table; end with status 1 where the target is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        reading = statistics.median(timed(folder / "many") for _ in range(REPETITIONS))
        again, printed = call(folder, *GRID)
    if not printed.startswith("1000 runs: 1000 done, 0 to go"):
        raise AssertionError(f"The second call does not take the runs as done: {printed[:200]}")
    print(f"1,000 finished runs, wall time; {machine()}\n")
    rows = [("", "seconds"), (f"read the directory, median of {REPETITIONS}", f"{reading:.3f}")]
    rows.append(("the same command again, from start to table", f"{again:.2f}"))
    print(table(rows, right=(1,)))
    print(f"\nThe target of reading is less than {TARGET:g} s.")
    sys.exit(reading >= TARGET)


if __name__ == "__main__":
    main()
