"""Sixty-four short trials of the digits MLP, against Hydra's basic launcher with a plain Lightning script.

    python -m bench.grid

The same grid of 8 learning rates and 8 weight decays, 5 epochs each: `python train.py -m ...` against
`python bench/hydra_basic.py -m ...`, wall time of the whole command. The script trains one after another in one
process, as its users start it and with one thread, which they would have to know of. Both have the same network,
number of samples, batches, epochs, validation and checkpoints. Ours checks the grid first, records more, can go on
after a kill and ends in a table; all that is in its time.
"""

import sys
from functools import partial

from bench.compare import machine, medians, swept
from gridstorm.report.table import table

REPETITIONS = 3
TARGET = 3.0
RATES, DECAYS = "1e-4,3e-4,1e-3,3e-3,1e-2,3e-2,1e-1,3e-1", "0,1e-6,1e-5,1e-4,1e-3,1e-2,1e-1,1"
OURS = [
    *("train.py", "-m", "sweep.name=grid", "trainer.max_epochs=5"),
    *(f"optimizer.lr={RATES}", f"optimizer.weight_decay={DECAYS}"),
]
PLAIN = ["bench/hydra_basic.py", "-m", "max_epochs=5", f"lr={RATES}", f"weight_decay={DECAYS}"]


def seconds(command: list[str], where: str, made: str, over: str, threads: str | None = None) -> float:
    """Return the wall time of a command that trains 64 cells, as `bench.compare.swept` is told of it."""
    return swept(command, where, made, over, 64, threads)[1]


def main() -> None:
    """Print the table; end with status 1 where the target is missed."""
    plain = partial(seconds, PLAIN, "hydra.sweep.dir", "*/.hydra/config.yaml", "*/checkpoints/last.ckpt")
    ours, usual = "train.py, a worker on each core", "plain script, torch's own threads"
    contest = {
        ours: partial(seconds, OURS, "output_dir", "grid/*/origin.json", "grid/*/result.json"),
        usual: plain,
        "plain script, OMP_NUM_THREADS=1": partial(plain, threads="1"),
    }
    taken = medians(contest, REPETITIONS)
    told = machine("threads: see rows")
    print(f"64 trials of the digits MLP, 5 epochs; wall time, median of {REPETITIONS}; {told}\n")
    rows = [(name, f"{value:.1f}", f"{value / taken[ours]:.2f}") for name, value in taken.items()]
    print(table([("whole command", "seconds", "times ours"), *rows], right=(1, 2)))
    ratio = taken[usual] / taken[ours]
    print(f"\nOurs is {ratio:.2f} times faster than the script as its users start it; the target is {TARGET:g}.")
    sys.exit(ratio < TARGET)


if __name__ == "__main__":
    main()
