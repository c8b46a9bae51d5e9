"""Whole sweeps on all cores with runs trained as one, against the same cells in other ways.

    python -m bench.together [mlp] [cnn] [transformer]

Wall time from the first run's start to the last one's end, and of the whole command, with its start-up, checks,
try-outs and report. `one after another` is our own run in one process. The usual sweep is bench/hydra_basic.py under
Hydra's basic launcher, with one thread, which its users would have to know of; it trains the perceptron alone.
"""

import sys
from collections.abc import Callable
from functools import partial

from bench.compare import machine, swept, turns
from bench.fused import DECAYS, RATES, SHAPES
from gridstorm.report.table import table

REPETITIONS = 3
EPOCHS = 10
GRID = {
    "lr": ",".join(map(str, RATES)),
    "weight_decay": ",".join(map(str, DECAYS)),
    "seed": "0,1",
}
CELLS = {"mlp": 64, "cnn": 16, "transformer": 16}
FEW = {**GRID, "weight_decay": "0.0"}  # 16 cells
WAYS = {
    "fused, a worker on each core": (),
    "each alone, a worker on each core": ("sweep.fuse=off",),
    "one after another": ("sweep.fuse=off", "launcher=in_process"),
}
Times = tuple[float, float]  # from the first start to the last end, and of the whole command


def ours(shape: str, *told: str) -> Times:
    """Return the seconds of a sweep of ours."""
    grid = GRID if shape == "mlp" else FEW
    given = [f"{name if name == 'seed' else f'optimizer.{name}'}={values}" for name, values in grid.items()]
    command = [
        "train.py",
        "-m",
        "sweep.name=grid",
        "threads=1",
        f"trainer.max_epochs={EPOCHS}",
        *SHAPES[shape],
        *given,
        *told,
    ]
    return swept(command, "output_dir", "grid/*/origin.json", "grid/*/result.json", CELLS[shape], threads="1")


def usual() -> Times:
    """Return the seconds of the plain script."""
    command = [
        "bench/hydra_basic.py",
        "-m",
        f"max_epochs={EPOCHS}",
        *(f"{name}={values}" for name, values in GRID.items()),
    ]
    return swept(command, "hydra.sweep.dir", "*/.hydra/config.yaml", "*/checkpoints/last.ckpt", 64, threads="1")


def compare(shape: str) -> None:
    """Print a table for one shape of model."""
    contest: dict[str, Callable[[], Times]] = {name: partial(ours, shape, *told) for name, told in WAYS.items()}
    if shape == "mlp":
        contest["the usual sweep, one after another"] = usual
    times = turns(contest, REPETITIONS)
    medians = {name: [sorted(values)[REPETITIONS // 2] for values in zip(*times[name], strict=True)] for name in times}
    fused = next(iter(medians.values()))
    rows = [(f"{shape}, {CELLS[shape]} cells", "training, s", "times", "whole command, s", "times")]
    for name, (training, whole) in medians.items():
        rows.append((name, f"{training:.1f}", f"{training / fused[0]:.1f}", f"{whole:.1f}", f"{whole / fused[1]:.1f}"))
    print(table(rows, right=(1, 2, 3, 4)), end="\n\n", flush=True)


def main() -> None:
    """Print the tables."""
    print(f"Median of {REPETITIONS} turns; {machine()} a process\n")
    for shape in sys.argv[1:] or CELLS:
        compare(shape)


if __name__ == "__main__":
    main()
