"""Which configurations may be the best of all: Gupta's subset, where each was repeated with the same seeds."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
NODES = 80  # of the quadrature over the normal, and 400 of that over the deviation: the constant has 4 digits
BEST = 1 / 3  # share of the configurations whose runs tell the deviation: bad ones are noisier


@lru_cache(4096)
def critical(others: int, freedom: int, level: float = LEVEL) -> float:
    """Return d, so that the largest of (Z_i - Z_0) / (sqrt(2) S), i = 1 to `others`, is below d with that probability.

    Z are standard normal, and S^2 is chi-squared by its degrees of freedom. It is Dunnett's one-sided constant with
    correlation 1/2, and the one of the subset rule: Gupta (1965), "On some multiple decision (selection and ranking)
    rules", Technometrics 7, section 3; Hsu (1996), "Multiple Comparisons", section 4.1.

    Args:
        others: How many there are beside the best one, at least 1.
        freedom: Degrees of freedom of the deviation, at least 1.
        level: The probability.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri, ndtr

    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    shares = (np.arange(400) + 0.5) / 400
    deviations = np.sqrt(chdtri(freedom, 1 - shares) / freedom)

    def probability(d: float) -> float:
        below = ndtr(nodes + d * np.sqrt(2) * deviations[:, None]) ** others
        return float((below * weights).sum(1).mean() / weights.sum())

    return float(brentq(lambda d: probability(d) - level, 0.01, 1000))


def subset(scores: NDArray[np.float64], level: float = LEVEL) -> tuple[NDArray[np.bool_], float, int]:
    """Return which configurations may be the best one, as smaller scores are better.

    The seeds are blocks: what one does to all configurations alike is no noise. The deviation is that of the best
    third of the configurations.

    Args:
        scores: Those of each configuration with each seed, [configurations, seeds]; NaN where there is none.
        level: The probability with which the truly best one is among them.

    Returns:
        Which are in it, the deviation of a run and its degrees of freedom.
    """
    counts = (~np.isnan(scores)).sum(1)
    means = np.nanmean(scores, 1)
    best = int(np.argmin(means))
    some = scores[np.argsort(means, kind="stable")[: max(2, round(len(scores) * BEST))]]
    deviation, freedom = within(some)
    if len(scores) == 1 or not freedom:
        return np.ones(len(scores), bool), deviation, freedom
    error = deviation * np.sqrt(1 / counts + 1 / counts[best])
    return means - means[best] <= critical(len(scores) - 1, freedom, level) * error, deviation, freedom


def within(scores: NDArray[np.float64]) -> tuple[float, int]:
    """Return the deviation of a run around the sum of its configuration's and its seed's effect, and its freedom.

    Where runs are missing the effects are fitted by least squares.
    """
    rows, columns = np.nonzero(~np.isnan(scores))
    levels, seeds = len(scores), scores.shape[1]
    design = np.zeros((len(rows), levels + seeds))
    design[np.arange(len(rows)), rows] = 1
    design[np.arange(len(rows)), levels + columns] = 1
    values = scores[rows, columns]
    effects, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(values) - int(rank)
    squares = float(((values - design @ effects) ** 2).sum())
    return (float(np.sqrt(squares / freedom)) if freedom > 0 else 0.0), max(0, freedom)
