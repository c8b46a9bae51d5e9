"""How often heal=true brings a run that was planted ill to where its healthy twin ends.

    python -m bench.heal [--seeds 3]

A healed run counts where its best score is not above the mean of the healthy twins by more than two of their standard
deviations, or by a tenth.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gridstorm.record import RunRecord
from gridstorm.report import table

ROOT = Path(__file__).parents[1]
HEALTHY = ["optimizer=sgd", "optimizer.lr=0.03", "trainer.max_epochs=20"]
PLANTS = {
    "far too large a rate": ["optimizer.lr=1"], "a rate that gives NaN": ["optimizer.lr=1000"],
    "too large a rate": ["optimizer.lr=0.4"], "too small a rate": ["optimizer.lr=1e-6"],
    "a small rate": ["optimizer.lr=1e-5"], "gradients clipped to nothing": ["trainer.gradient_clip_val=1e-4"],
    "adam, far too large": ["optimizer=adam", "optimizer.lr=1"],
    "adam, too large": ["optimizer=adam", "optimizer.lr=0.1"],
    "almost all dropped": ["model.dropout=0.9"], "sigmoids, deep": ["model.depth=10", "model.activation=sigmoid"],
}  # fmt: skip


def trained(folder: Path, words: list[str], name: str) -> RunRecord:
    """Train a run and return its record, that of the healed one where it was."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(ROOT / "train.py"), *words, f"name={name}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return RunRecord(folder / re.findall(r"^record +(\S+)$", done.stdout, re.M)[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds, rows, cured = range(parser.parse_args().seeds), [], 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        twins = [trained(folder, [*HEALTHY, f"seed={seed}"], f"twin-{seed}").result for seed in seeds]
        scores = [twin.score for twin in twins if twin and twin.score is not None]
        mean = statistics.mean(scores)
        limit = max(mean + 2 * statistics.stdev(scores), 1.1 * mean)
        for number, (kind, words) in enumerate(PLANTS.items()):
            found = []
            for seed in seeds:
                run = trained(folder, [*HEALTHY, *words, "heal=true", f"seed={seed}"], f"ill-{number}-{seed}")
                found.append((run.result.score if run.result else None, run.directory.name.partition("-healed-")[2]))
            good = sum(score is not None and score <= limit for score, _ in found)
            cured += good >= len(found) / 2
            rows.append((kind, " ".join(f"{score:.3g}" if score else "-" for score, _ in found),
                         " ".join(times or "0" for _, times in found), f"{good} of {len(found)}"))  # fmt: skip
            sys.stderr.write(f"{rows[-1]}\n")
    rows.append((f"healthy twins: {mean:.3g}, limit {limit:.3g}", "", "", f"{cured} of {len(PLANTS)} kinds"))
    print(table([("planted", "best scores", "remedies", "healed"), *rows]))


if __name__ == "__main__":
    main()
