"""What the best of n trials is expected to be, where trials are drawn at random."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """The best of 1, 2, ... N trials, smaller scores being better.

    Args:
        mean: Its expectation, [N].
        quartiles: Its lower and upper quartile, [2, N].
        bounds: Bounds of the median of the best, [2, N]; -inf where the trials tell no lower one.
    """

    mean: Floats
    quartiles: Floats
    bounds: Floats


def expected_best(scores: Floats, level: float = 0.95) -> Band:
    """Return what the best of m of these trials is, m = 1 to N, were they drawn anew.

    The expectation is the U statistic: the mean over all subsets of m (Tang et al., 2020, "Showing your work doesn't
    always work", section 3; Dodge's V statistic is too pessimistic near N). The bounds are those of order statistics,
    which hold for any distribution (David and Nagaraja, 2003, "Order Statistics", section 7.1): the median of the best
    of m is the quantile of 1 - 0.5^(1/m).

    Args:
        scores: Those of N trials that were drawn at random, independently of each other.
        level: Of the bounds.
    """
    from scipy.special import gammaln
    from scipy.stats import binom

    ordered, count = np.sort(scores), len(scores)
    best, sizes = np.arange(1, count + 1), np.arange(1, count + 1)[:, None]
    left = count - best  # worse ones, of which the others of a subset are chosen
    possible = left >= sizes - 1

    def log_choose(n: Any, k: Any) -> Any:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    chances = log_choose(np.maximum(left, sizes - 1), sizes - 1) - log_choose(count, sizes)
    weights: Floats = np.exp(np.where(possible, chances, -np.inf))
    below = np.cumsum(weights, 1)
    quartiles = np.array([[ordered[min(count - 1, int(np.searchsorted(row, share - 1e-12)))] for row in below]
                          for share in (0.25, 0.75)])  # fmt: skip
    quantile = 1 - 0.5 ** (1 / sizes[:, 0])
    lower = binom.ppf((1 - level) / 2, count, quantile).astype(int)  # the number of trials below it is binomial
    upper = binom.ppf((1 + level) / 2, count, quantile).astype(int)
    ends = np.where(lower >= 1, ordered[np.maximum(lower - 1, 0)], -np.inf)
    tops = np.where(upper < count, ordered[np.minimum(upper, count - 1)], np.inf)
    return Band(weights @ ordered, quartiles, np.array([ends, tops]))
