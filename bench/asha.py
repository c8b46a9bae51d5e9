"""What successive halving saves: 27 configurations of the digits perceptron, trained whole and under `pruner=asha`.

python -m bench.asha
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.compare import ROOT, machine
from gridstorm.report.table import table

SEEDS = (0, 1, 2)
GRID = (
    "optimizer.lr=3e-4,3e-3,3e-2", "model.width=16,64,256", "model.dropout=0,0.2,0.4", "trainer.max_epochs=27",
)  # fmt: skip
SHARE, LOSS = 0.4, 0.01


def results(folder: str, name: str, *overrides: str) -> list[dict[str, Any]]:
    """Carry out the sweep and return what came out of each run."""
    command = [sys.executable, "train.py", "-m", f"output_dir={folder}", f"sweep.name={name}", *GRID, *overrides]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(file.read_text()) for file in Path(folder).glob(f"{name}/*/result.json")]


def main() -> None:
    """Print the table; end with status 1 where a target is missed."""
    rows, missed = [], False
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            whole = results(folder, f"whole{seed}", f"seed={seed}")
            halved = results(folder, f"asha{seed}", f"seed={seed}", "pruner=asha")
            spent, spent_whole = (sum(run["epochs"] for run in runs) for runs in (halved, whole))
            best, best_whole = (min(run["score"] for run in runs) for runs in (halved, whole))
            missed |= spent >= SHARE * spent_whole or best > (1 + LOSS) * best_whole
            figures = (f"{spent_whole}", f"{spent}", f"{spent / spent_whole:.0%}", f"{best_whole:.4f}", f"{best:.4f}")
            rows.append((str(seed), *figures))
    header = ("seed", "epochs of the grid", "of asha", "share", "best val/loss of the grid", "of asha")
    print(f"27 configurations; {machine()}\n")
    print(table([header, *rows], right=(0, 1, 2, 3, 4, 5)))
    print(f"\nThe targets are a share below {SHARE:.0%} and a best score within {LOSS:.0%} of the grid's.")
    sys.exit(missed)


if __name__ == "__main__":
    main()
