"""What Python is shown: tables of pandas where it is there, and of HTML in a notebook."""

from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from typing import Any

from gridstorm.config import number


def frame(rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows as a pandas DataFrame where pandas is installed, and as they are elsewhere."""
    if find_spec("pandas") is None:
        return [*rows]
    import pandas

    return pandas.DataFrame(rows)


def html(caption: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return a table of HTML, its first row the head; every text in it is one, and no code."""
    head, *body = [[escape(number(cell) if isinstance(cell, float) else str(cell)) for cell in row] for row in rows]
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in body]
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    titles = "".join(f"<th>{cell}</th>" for cell in head)
    return f"<table>{above}<tr>{titles}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
