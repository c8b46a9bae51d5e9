"""Statistics that no library has: ties, a drawn surface, the expected best, the error of a rank correlation."""

from gridstorm.statistics.correlation import Correlation, rank_correlation
from gridstorm.statistics.expected_best import Band, expected_best
from gridstorm.statistics.quadratic import falls_at_end
from gridstorm.statistics.subset import subset, within
from gridstorm.statistics.surface import MOST, Points, Surface, chosen, credible, fenced

__all__ = [
    "MOST",
    "Band",
    "Correlation",
    "Points",
    "Surface",
    "chosen",
    "credible",
    "expected_best",
    "falls_at_end",
    "fenced",
    "rank_correlation",
    "subset",
    "within",
]
