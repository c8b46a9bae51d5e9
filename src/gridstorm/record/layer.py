"""What single steps did to each layer, as layers.jsonl has it: lines of strict JSON, fewer the longer a run is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gridstorm.record.file import LAYERS, write_whole
from gridstorm.record.result import is_number
from gridstorm.record.step import short

DENSE = 16  # so many points are all kept; of the next as many every second, then every third: a look costs 0.5 ms
QUANTITIES = ("grad", "update", "dead")


class LayerFile:
    """Writes a line for some of the points of a run's curves.

    Args:
        directory: Of the run.
    """

    def __init__(self, directory: Path) -> None:
        self.file = directory / LAYERS
        self._seen = 0

    def begin(self, names: Sequence[str], step: int) -> None:
        """Write the names of the layers, and forget what came after a step: the run goes on from there."""
        kept = [line for line in layers(self.file.parent)[1] if line["step"] <= step]
        self._seen = len(kept)
        write_whole(self.file, "".join(json.dumps(line) + "\n" for line in ({"layers": [*names]}, *kept)))

    def is_due(self) -> bool:
        """Tell whether the next point is one of those that are kept; to be asked once for each."""
        self._seen += 1
        return self._seen % (1 + self._seen // DENSE) == 0

    def add(self, step: int, epoch: int, values: Mapping[str, Sequence[float]]) -> None:
        """Add a point.

        Args:
            step: Steps taken so far.
            epoch: From 1.
            values: For each of `QUANTITIES` a number of each layer; one that is not finite is null.
        """
        line = {"step": step, "epoch": epoch} | {name: [*map(short, values[name])] for name in QUANTITIES}
        with self.file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(line, allow_nan=False) + "\n")


def layers(directory: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of the layers of a run, and its points: `step`, `epoch`, and a list for each of `QUANTITIES`.

    The file may be missing; a line that a crash cut short is left out.
    """
    file = directory / LAYERS
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    first, *rest = [*map(_parsed, lines)] or [{}]
    names = first.get("layers")
    if not isinstance(names, list):
        return [], []
    return [*map(str, names)], [line for line in rest if _fits(line, len(names))]


def _parsed(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def _fits(line: Mapping[str, Any], number: int) -> bool:
    parts = [line.get(name) for name in QUANTITIES]
    counted = type(line.get("step")) is int and type(line.get("epoch")) is int
    listed = all(isinstance(part, list) and len(part) == number for part in parts)
    return counted and listed and all(is_number(value) for part in parts for value in part or ())
