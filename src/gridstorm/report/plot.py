"""Curves as a small plot in a terminal: a letter for each, the loss on a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 60, 10
LETTERS = "abcdefgh"


def plot(
    curves: Mapping[str, Sequence[float]], title: str, across: str = "epoch", ends: tuple[str, str] | None = None
) -> str:
    """Return curves as lines of text, with what each letter stands for.

    Args:
        curves: By name, a value for each place; what is not a positive number is left out.
        title: What the axis shows.
        across: What the places are.
        ends: What stands below the first and the last one; otherwise their numbers.
    """
    shown = {name: [value if 0 < value < math.inf else math.nan for value in values] for name, values in curves.items()}
    logs = [math.log10(value) for values in shown.values() for value in values if value == value]
    if not logs:
        return f"{title}: no number to be drawn"
    low, high = min(logs), max(max(logs), min(logs) + 0.1)
    longest = max(map(len, shown.values()))
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]
    for letter, values in zip(LETTERS, shown.values(), strict=False):
        for column in range(WIDTH):
            value = _at(values, column / (WIDTH - 1) * (longest - 1))
            if value == value:
                row = round((high - math.log10(value)) / (high - low) * (HEIGHT - 1))
                cells[row][column] = letter
    labels, (first, last) = {0: f"{10**high:.3g}", HEIGHT - 1: f"{10**low:.3g}"}, ends or ("1", str(longest))
    lines = [f"{labels.get(row, ''):>8} |{''.join(line).rstrip()}" for row, line in enumerate(cells)]
    names = "   ".join(f"{letter} {name}" for letter, name in zip(LETTERS, shown, strict=False))
    return "\n".join([f"{title}, by {across}:", *lines, f"{'':8} +{'-' * WIDTH}",
                      f"{'':9} {first}{last:>{WIDTH - len(first)}}",
                      f"{'':10}{names}"])  # fmt: skip


def _at(values: Sequence[float], place: float) -> float:
    """Return the value at a place between two epochs; NaN behind the last one."""
    below = math.floor(place)
    if below >= len(values) - 1:
        return values[-1] if place <= len(values) - 1 else math.nan
    return values[below] + (place - below) * (values[below + 1] - values[below])
