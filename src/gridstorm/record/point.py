"""The points of the curves, as metrics.jsonl has them: a line each, strict JSON."""

import json
from pathlib import Path
from typing import Any

COUNTERS = ("step", "epoch", "samples", "seconds")  # what each point begins with


def points_after(file: Path, place: int, whole: bool = True) -> tuple[list[dict[str, Any]], int]:
    """Return the points that begin at a byte of a file or after it, and the byte at which they end.

    Args:
        file: It may be missing. A line that is no point, such as one that a crash cut short, is left out.
        place: The byte.
        whole: Whether the last line must have its end: it may be in writing.
    """
    if not file.is_file() or file.stat().st_size <= place:
        return [], place
    with file.open("rb") as opened:
        opened.seek(place)
        text = opened.read()
    if whole:
        text = text[: text.rfind(b"\n") + 1]
    points = (_point(line.decode(errors="replace")) for line in text.splitlines())
    return [point for point in points if point is not None], place + len(text)


def _point(line: str) -> dict[str, Any] | None:
    try:
        point = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return point if isinstance(point, dict) and point.keys() >= {*COUNTERS} else None
