"""How good the rate is that find=lr suggests: beside the best of 20 rates, trained with three seeds.

    python -m bench.find [--presets digits_mlp ...]

The score at a rate is read off the sweep, between its rates on a logarithmic axis.
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import gridstorm
from gridstorm.objects import quiet
from gridstorm.report import table
from gridstorm.run.find import Rates, range_test

ROOT = Path(__file__).parents[1]
RATES = [f"{10 ** (-4 + 4 * step / 19):.3g}" for step in range(20)]
SEEDS = 3


def swept(folder: Path, preset: str) -> dict[float, float]:
    """Return the mean scores of a preset by its rate."""
    file = folder / "outputs" / preset / "results.csv"
    if not file.exists():
        words = ["-m", f"experiment={preset}", f"optimizer.lr={','.join(RATES)}", f"sweep.repeats={SEEDS}",
                 f"sweep.name={preset}"]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, str(ROOT / "train.py"), *words], cwd=folder, env=environment, check=False,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    with file.open(newline="") as opened:
        return {float(row["optimizer.lr"]): float(row["mean"]) for row in csv.DictReader(opened) if row["mean"]}


def steepest(found: Rates) -> float:
    """Return the rate at which the loss falls most, as Lightning's tuner suggests it."""
    slopes = np.gradient(found.losses, np.log(found.rates))[: found.lowest + 1]
    return float(found.rates[int(np.nanargmin(slopes))])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["digits_mlp", "digits_cnn", "breast_cancer", "diabetes"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bench-find"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for preset in asked.presets:
        scores = swept(asked.folder, preset)
        rates, values = np.array(sorted(scores)), np.array([scores[rate] for rate in sorted(scores)])
        for seed in range(SEEDS):
            with quiet():
                found = range_test(gridstorm.compose(f"experiment={preset}", f"seed={seed}"))
            worse = [float(np.interp(np.log(rate), np.log(rates), values) / values.min() - 1)
                     for rate in (found.suggested, found.stable[1] / 10, steepest(found))]  # fmt: skip
            best = float(rates[int(values.argmin())])
            rows.append(
                (preset, str(seed), f"{best:g}", f"{found.suggested:g}", *(f"{100 * one:.0f} %" for one in worse))
            )
    header = ("preset", "seed", "best of 20", "suggested", "worse by", "a tenth", "steepest")
    print(table([header, *rows], right=[1, 2, 3, 4, 5, 6]))


if __name__ == "__main__":
    main()
