"""What records say: tables, pages, comparisons."""

from gridstorm.report.difference import curves_differ, environments_differ
from gridstorm.report.leaderboard import merged
from gridstorm.report.progress import Display
from gridstorm.report.report import report
from gridstorm.report.table import table

__all__ = ["Display", "curves_differ", "environments_differ", "merged", "report", "table"]
