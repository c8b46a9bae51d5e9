"""How well an early score tells the order of the last ones: Spearman's rank correlation with its interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 5  # pairs, with fewer of which nothing is said


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Args:
        value: Between -1 and 1.
        low: The lower end of its 95 % interval.
        high: The upper one.
        count: Of how many pairs.
    """

    value: float
    low: float
    high: float
    count: int


def rank_correlation(early: NDArray[np.float64], late: NDArray[np.float64]) -> Correlation | None:
    """Return Spearman's correlation of pairs [N], ties averaged; None for fewer than five, or where all are equal.

    The interval is Fisher's z with the error sqrt((1 + r^2 / 2) / (N - 3)) of Bonett and Wright (2000), "Sample size
    requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 65, equation 4.
    """
    from scipy.stats import spearmanr

    if len(early) < FEWEST or len({*early.tolist()}) < 2 or len({*late.tolist()}) < 2:
        return None
    value = float(spearmanr(early, late).statistic)
    z = np.arctanh(np.clip(value, -0.999999, 0.999999))
    half = 1.959964 * np.sqrt((1 + value**2 / 2) / (len(early) - 3))
    return Correlation(value, float(np.tanh(z - half)), float(np.tanh(z + half)), len(early))
