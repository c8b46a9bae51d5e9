"""What each preset reaches, through the command line that its first comment names.

python -m bench.score [PRESET ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.compare import ROOT, machine
from gridstorm.report.table import table

TARGETS = {
    "digits_mlp": ("test/accuracy", 0.96),
    "digits_cnn": ("test/accuracy", 0.985),
    "breast_cancer": ("test/accuracy", 0.95),
    "diabetes": ("test/r2", 0.40),
    "python_text": ("test/bits_per_byte", 2.6),
}
MINUTES = {"python_text": 3.0}


def train(preset: str) -> tuple[dict[str, Any], float]:
    """Return the result of a run of `preset` in a process of its own, and the seconds that the process took."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "train.py", f"experiment={preset}", f"output_dir={directory}", "name=run"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return json.loads((Path(directory) / "run" / "result.json").read_text()), time.monotonic() - start


def reached(preset: str, metrics: dict[str, float], seconds: float) -> bool:
    """Return whether the preset's score is as good as its target, and in time."""
    name, target = TARGETS[preset]
    good = metrics[name] < target if name == "test/bits_per_byte" else metrics[name] >= target
    return good and seconds <= 60 * MINUTES.get(preset, float("inf"))


def main() -> None:
    """Print the table; end with status 1 where a preset misses its target."""
    presets = sys.argv[1:] or sorted(file.stem for file in (ROOT / "conf" / "experiment").glob("*.yaml"))
    print(f"Presets, each a process from start to end; {machine('threads: auto')}\n")
    rows, missed = [("command", "test metrics", "target", "seconds")], []
    for preset in presets:
        result, seconds = train(preset)
        metrics = {name: value for name, value in result["metrics"].items() if name.startswith("test/")}
        shown = ", ".join(f"{name.removeprefix('test/')} {value:.4g}" for name, value in metrics.items())
        target = "-"
        if preset in TARGETS:
            target = " ".join(map(str, TARGETS[preset])).removeprefix("test/")
            missed += [] if reached(preset, metrics, seconds) else [preset]
        rows.append((f"python train.py experiment={preset}", shown, target, f"{seconds:.0f}"))
    print(table(rows, right=(3,)))
    if missed:
        sys.exit(f"\nMissed: {', '.join(missed)}.")


if __name__ == "__main__":
    main()
