"""Which configurations are tried: one way of choosing them a file.

A sampler is one of Optuna's, or speaks as they do. It is built anew for each ask, with those of these keywords that
its constructor names: `seed` (of this ask), `sweep_seed` (the same at each ask), `space` (a distribution for each
parameter). One whose draws depend on no result says so: `upfront = True`.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def drawn(share: float, distribution: "BaseDistribution") -> Any:
    """Return the value at `share` of a distribution, 0 being its low end and 1 its high end, both inside it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(int(share * len(distribution.choices)), len(distribution.choices) - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    margin = 0.5 if isinstance(low, int) else 0  # so that the whole numbers at the ends are as likely as the others
    first, last = (low - margin, high + margin)
    if distribution.log:
        value = math.exp(math.log(first) + share * (math.log(last) - math.log(first)))
    else:
        value = first + share * (last - first)
    return min(max(round(value) if margin else value, low), high)
