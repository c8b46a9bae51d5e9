"""How fast a start that trains nothing ends, against the same with torch and Lightning imported first.

    python -m bench.start

Help, a listing, a tab completion and five refused configurations, each as a process of its own, until it has ended.
What both print is compared, so that they are known to do the same.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from bench.compare import ROOT, machine, medians
from gridstorm.report.table import table

REPETITIONS = 3
TARGET = 8.0
LINE = "python train.py model="
STARTS: dict[str, Sequence[str]] = {
    "--help": ["--help"],
    "--cfg job": ["--cfg", "job"],
    "tab completion": ["-sc", "query=bash"],
    **{
        refused: [refused]
        for refused in ("optimizer.lr=abc", "modle=cnn", "model=cn", "data=diabetes", "monitor=val/acc")
    },
}
HEAVY = """\
import torch, pytorch_lightning, runpy, sys
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")"""


def start(arguments: Sequence[str], heavy: bool) -> tuple[float, str]:
    """Return the processor seconds of one start, and what it printed."""
    command = [sys.executable, *(["-c", HEAVY] if heavy else ["train.py"]), *arguments]
    # What bash tells a program whose arguments it completes.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COMP_LINE": LINE, "COMP_POINT": str(len(LINE))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout + done.stderr


def seconds(arguments: Sequence[str], heavy: bool) -> float:
    """Return the processor seconds of one start."""
    return start(arguments, heavy)[0]


def main() -> None:
    """Print the table; end with status 1 where a start misses the target."""
    print(f"A start until its end, processor seconds, median of {REPETITIONS}; {machine()}\n")
    rows, ratios = [("start", "seconds", "imports first", "times faster")], []
    for name, arguments in STARTS.items():
        if start(arguments, heavy=False)[1] != start(arguments, heavy=True)[1]:
            sys.exit(f"train.py {' '.join(arguments)} prints something else when torch is imported first.")
        both = {"ours": partial(seconds, arguments, False), "heavy": partial(seconds, arguments, True)}
        taken = medians(both, REPETITIONS)
        ratios.append(taken["heavy"] / taken["ours"])
        rows.append((name, f"{taken['ours']:.2f}", f"{taken['heavy']:.2f}", f"{ratios[-1]:.1f}"))
    print(table(rows, right=(1, 2, 3)))
    print(f"\nThe slowest is {min(ratios):.1f} times faster; the target is {TARGET:g}.")
    sys.exit(min(ratios) < TARGET)


if __name__ == "__main__":
    main()
