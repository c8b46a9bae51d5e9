"""A quadratic through scores, which says whether they still fall at the end of a range."""

import numpy as np
from numpy.typing import NDArray

from gridstorm.statistics.surface import Points, fenced

Floats = NDArray[np.float64]
FREE = 3  # degrees of freedom, with fewer of which nothing is tested
BEST = 5  # points whose middle stands for the others' best values


def falls_at_end(points: Points, scores: Floats, key: int, is_top: bool, level: float = 0.95) -> bool:
    """Tell whether scores, smaller ones being better, fall towards an end of a number's range.

    It is the one-sided t test of the slope there, of the least-squares quadratic with all pairs of numbers and with the
    categories' own levels (Box and Draper, 2007, "Response Surfaces, Mixtures, and Ridge Analyses", chapter 9), at the
    mean of the best five points.

    Args:
        points: [N].
        scores: [N].
        key: Which of the numbers.
        is_top: Whether at its largest value.
        level: Of the test.
    """
    from scipy.special import stdtrit

    x, count = points.numbers, points.numbers.shape[1]
    pairs = [(one, other) for one in range(count) for other in range(one)]
    dummies = [points.names[:, place] == value for place in range(points.names.shape[1])
               for value in range(1, int(points.names[:, place].max(initial=0)) + 1)]  # fmt: skip
    parts = [np.ones(len(x)), *x.T, *(x**2).T, *dummies]
    if len(parts) + len(pairs) + FREE > len(x):
        pairs = []
    design = np.stack([*parts, *(x[:, one] * x[:, other] for one, other in pairs)], 1).astype(float)
    clipped = fenced(scores)
    weights, _, rank, _ = np.linalg.lstsq(design, clipped, rcond=None)
    freedom = len(x) - int(rank)
    if freedom < FREE:
        return False
    variance = float(((clipped - design @ weights) ** 2).sum()) / freedom
    center = x[np.argsort(scores)[:BEST]].mean(0)
    slope = np.zeros(design.shape[1])
    slope[1 + key], slope[1 + count + key] = 1, 2.0 * is_top
    for place, (one, other) in enumerate(pairs, len(parts)):
        slope[place] = center[other] if one == key else center[one] if other == key else 0
    error = float(np.sqrt(variance * (slope @ np.linalg.pinv(design.T @ design) @ slope)))
    towards = float(slope @ weights) * (-1 if is_top else 1)
    return error > 0 and towards / error > float(stdtrit(freedom, level))
