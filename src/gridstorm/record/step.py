"""The training loss of each step, as steps.jsonl has it: lines of strict JSON, those of a long run thinned."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gridstorm.record.file import STEPS, write_whole
from gridstorm.record.result import is_number

MOST = 20_000  # losses of a run that are kept, about
BLOCK = 64  # batches that follow one another, of an epoch that is thinned: what swings is seen from step to step


class StepFile:
    """Writes the losses of a run's steps, an epoch at a time.

    Args:
        directory: Of the run.
        epochs: How many it has at most; the more, the fewer losses of each are kept.
    """

    def __init__(self, directory: Path, epochs: int) -> None:
        self.file, self.most = directory / STEPS, max(BLOCK, MOST // max(epochs, 1))

    def begin(self, epoch: int) -> None:
        """Forget what came after an epoch that is over: the run goes on from there."""
        kept = [line for line in steps(self.file.parent) if line["epoch"] <= epoch]
        write_whole(self.file, "".join(json.dumps(line) + "\n" for line in kept))

    def add(self, epoch: int, losses: Sequence[float], first: int = 0) -> None:
        """Add an epoch.

        Args:
            epoch: Its number, from 1.
            losses: Of its batches.
            first: The number of the first of them; not 0 in a run that goes on within an epoch.
        """
        with self.file.open("a", encoding="utf-8") as opened:
            for start, kept in thinned(losses, self.most):
                line = {"epoch": epoch, "batch": first + start, "losses": [*map(short, kept)]}
                opened.write(json.dumps(line, allow_nan=False) + "\n")


def thinned(losses: Sequence[float], most: int) -> Iterator[tuple[int, Sequence[float]]]:
    """Yield the losses of an epoch with the number of the first: all, or evenly spread blocks of neighbors."""
    if len(losses) <= most:
        yield 0, losses
        return
    number = most // BLOCK
    for place in range(number):
        start = round(place * (len(losses) - BLOCK) / max(number - 1, 1))
        yield start, losses[start : start + BLOCK]


def short(loss: float) -> float | None:
    """Return a loss with six digits, None for one that is no finite number."""
    return float(f"{loss:.6g}") if math.isfinite(loss) else None


def steps(directory: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's steps.jsonl, oldest first: `epoch`, `batch` (the number of the first), `losses`.

    It may be missing, as in records of before; a line that a crash cut short is left out.
    """
    file = directory / STEPS
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return [line for line in map(_parsed, lines) if line is not None]


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    kinds = {"epoch": int, "batch": int, "losses": list}
    fits = isinstance(line, dict) and all(isinstance(line.get(name), kind) for name, kind in kinds.items())
    return line if fits and all(map(is_number, line["losses"])) else None
