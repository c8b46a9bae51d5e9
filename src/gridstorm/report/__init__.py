"""What records say: tables, pages, comparisons."""

from typing import TYPE_CHECKING, Any

from gridstorm.report.board import time_series
from gridstorm.report.difference import curves_differ, defaults_differ, environments_differ, recipes_differ
from gridstorm.report.leaderboard import best, merged, swept
from gridstorm.report.plot import plot
from gridstorm.report.progress import Display
from gridstorm.report.report import report, results
from gridstorm.report.table import table

if TYPE_CHECKING:
    from gridstorm.report.picture import confusion_matrix, gallery, line_chart, scatter
    from gridstorm.report.study import answer_of, write_report

__all__ = [
    "Display",
    "answer_of",
    "best",
    "confusion_matrix",
    "curves_differ",
    "defaults_differ",
    "environments_differ",
    "gallery",
    "line_chart",
    "merged",
    "plot",
    "recipes_differ",
    "report",
    "results",
    "scatter",
    "swept",
    "table",
    "time_series",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load what draws where something is drawn: NumPy and Pillow take longer to import than all else here."""
    if name in ("confusion_matrix", "gallery", "line_chart", "scatter"):
        from gridstorm.report import picture

        return getattr(picture, name)
    if name in ("answer_of", "write_report"):
        from gridstorm.report import study

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
