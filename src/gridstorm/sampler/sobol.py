"""Points that fill the space evenly, and go on doing so when there are more of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from gridstorm.sampler import drawn


class Sobol(BaseSampler):
    """A scrambled Sobol sequence with a dimension for each parameter, those with a condition too.

    Point n depends only on the seed, n and the parameters' names: 32 points begin with the same 16 as 16 points.
    (Optuna's QMCSampler counts in the study, and a study is rebuilt from the runs at each start.)
    (Owen, Scrambling Sobol' and Niederreiter-Xing points, 1998; scipy.stats.qmc.Sobol.)

    Args:
        space: The distribution of each parameter.
        sweep_seed: Of the scrambling.
    """

    upfront = True

    def __init__(self, space: Mapping[str, BaseDistribution], sweep_seed: int) -> None:
        self._dimension = {name: index for index, name in enumerate(sorted(space))}
        self._seed = sweep_seed

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Draw the trial's point."""
        sequence = qmc.Sobol(len(self._dimension), scramble=True, rng=np.random.default_rng(self._seed))
        if trial.number:
            sequence.fast_forward(trial.number)
        self._point = sequence.random()[0]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return none: each parameter reads its own dimension."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return none."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the parameter's value at the trial's point."""
        return drawn(float(self._point[self._dimension[param_name]]), param_distribution)
