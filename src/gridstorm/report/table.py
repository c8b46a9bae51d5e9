"""Rows as aligned columns."""

from collections.abc import Sequence


def table(rows: Sequence[tuple[str, ...]], right: Sequence[int] = ()) -> str:
    """Return rows as text in aligned columns; the columns whose numbers are in `right` end at the same place."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [
        [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return "\n".join(f"  {'  '.join(row)}".rstrip() for row in aligned)
