"""Points from a normal distribution that moves and stretches towards the better half of each generation."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from cmaes import CMA
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gridstorm.sampler import drawn

KEY = "cmaes"  # the trial's attribute: its generation, then its point in the unit cube


class Cmaes(BaseSampler):
    """CMA-ES (Hansen, The CMA Evolution Strategy: A Tutorial, 2016) over numbers; what is unordered is drawn at random.

    Optuna's own keeps a pickled optimizer with its trials, which no one should load from a directory, and gives up
    for good where a parameter with a condition is missing. Here the optimizer is told all generations anew at each ask.

    Args:
        space: The distribution of each parameter; those with a condition have a dimension in every trial.
        seed: Of this ask.
        sigma0: The spread at the start, as a share of each parameter's range.
        popsize: Trials of a generation, 4 + 3 ln(dimensions) if None.

    Raises:
        ValueError: Fewer than two parameters have an order.
    """

    def __init__(
        self, space: Mapping[str, BaseDistribution], seed: int, sigma0: float = 0.3, popsize: int | None = None
    ) -> None:
        numbers = {
            name: distribution
            for name, distribution in space.items()
            if not isinstance(distribution, CategoricalDistribution)
        }
        self._space = {
            name: distribution for name, distribution in sorted(numbers.items()) if not distribution.single()
        }
        if len(self._space) < 2:
            words = f"only {next(iter(self._space))} is one" if self._space else f"{', '.join(space)} has none"
            raise ValueError(f"CMA-ES needs two axes of ordered numbers or more, and {words}. Choose sampler=tpe.")
        self._seed, self._sigma, self._size = seed, sigma0, popsize
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that have an order, whether or not this trial has them."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw a point of the current generation."""
        optimizer = self._optimizer(study)
        optimizer.reseed_rng(self._seed)
        point = optimizer.ask().tolist()
        # Optuna's samplers have no other way to leave something with a trial.
        study._storage.set_trial_system_attr(trial._trial_id, KEY, [optimizer.generation, *point])
        return {
            name: drawn(share, distribution)
            for share, (name, distribution) in zip(point, self._space.items(), strict=True)
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw what has no order."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _optimizer(self, study: Study) -> CMA:
        """Return an optimizer that was told the generations that are complete, each by its first trials."""
        sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
        generations = defaultdict(list)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            generation, *point = trial.system_attrs.get(KEY, [-1])
            if len(point) == len(self._space) and trial.value is not None:
                generations[generation].append((np.array(point), sign * trial.value))
        size = len(self._space)
        bounds = np.array([[0.0, 1.0]] * size)
        optimizer = CMA(np.full(size, 0.5), self._sigma, bounds=bounds, population_size=self._size, seed=self._seed)
        while len(members := generations[optimizer.generation]) >= optimizer.population_size:
            optimizer.tell(members[: optimizer.population_size])
        return optimizer
