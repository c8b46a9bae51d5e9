"""The surface of scores over a search space: a Gaussian process whose hyperparameters are drawn, and not fitted.

A fitted one is too sure of itself where there are few trials: it takes noise for shape. Here length scales, amplitude
and noise are drawn from their posterior (random-walk Metropolis with log-normal priors; Rasmussen and Williams, 2006,
sections 2.2, 4.2 and 5.2), so that what is said of the surface holds over all that are likely.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]
STEPS, WARM_UP, KEPT = 900, 300, 30  # of the chain: all, those that set its stride, and the states that are kept
ACCEPTED = 0.3  # share of the proposals, which the stride is set for
# Means and deviations of the logarithms of length scale (of a range of 1), amplitude and noise (of a deviation of 1).
PRIORS = {"scale": (0.0, 1.0), "amplitude": (0.3, 1.0), "noise": (-1.5, 1.0)}
FENCE = 3.0  # quartile distances above the third quartile, from which scores count as that (Tukey, 1977: far out)
MOST = 150  # points that it is made of: the time grows with their third power
SAMPLES = 64  # of the space for importances


@dataclass(frozen=True)
class Points:
    """Places in a search space.

    Args:
        numbers: [N, P], each of 0 to 1 over its range.
        names: [N, Q], the number of each category.
    """

    numbers: Floats
    names: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        return type(self)(self.numbers[rows], self.names[rows])

    @property
    def keys(self) -> int:
        """How many keys there are, numbers first."""
        return int(self.numbers.shape[1] + self.names.shape[1])

    def distances(self, others: Self) -> Floats:
        """Return the squared distance in each key, [keys, N, M]: of categories it is 1 where they differ."""
        numbers = (self.numbers[:, None] - others.numbers[None]) ** 2
        names = (self.names[:, None] != others.names[None]).astype(float)
        return np.moveaxis(np.concatenate([numbers, names], -1), -1, 0)

    def joined(self, others: Self) -> Self:
        """Return both, one after the other."""
        return type(self)(np.vstack([self.numbers, others.numbers]), np.vstack([self.names, others.names]))

    def mixed(self, others: Self, key: int) -> Self:
        """Return these points with a key of others."""
        numbers, names, width = self.numbers.copy(), self.names.copy(), self.numbers.shape[1]
        if key < width:
            numbers[:, key] = others.numbers[:, key]
        else:
            names[:, key - width] = others.names[:, key - width]
        return type(self)(numbers, names)


@dataclass(frozen=True)
class Surface:
    """What is believed of the scores without their noise, smaller ones being better.

    Args:
        points: Where scores are known.
        scores: Their means, standardized.
        counts: Of how many runs each is the mean.
        states: The logarithms of length scales, amplitude and noise, [states, keys + 2].
        mean: What was taken off of the scores.
        unit: What they were divided by.
    """

    points: Points
    scores: Floats
    counts: Floats
    states: Floats
    mean: float
    unit: float

    @classmethod
    def draw(
        cls,
        points: Points,
        scores: Floats,
        counts: Floats,
        rng: np.random.Generator,
        within: tuple[float, int] = (0, 0),
    ) -> Self:
        """Return the surface through points.

        Args:
            points: Where, [N].
            scores: Their means over runs, [N].
            counts: Of how many runs each, [N].
            rng: The source of chance.
            within: The sum of squares of runs around the mean of their point, and its degrees of freedom.
        """
        mean, unit = float(scores.mean()), float(scores.std()) or 1.0
        z = (scores - mean) / unit
        model = _Likelihood(points.distances(points), z, counts, within[0] / unit**2, within[1])
        with threadpool_limits(1):  # of matrices this small threads take longer than one
            states = model.states(rng)
        return cls(points, z, counts, states, mean, unit)

    @property
    def noise(self) -> Floats:
        """The deviation of a single run's score in each state, [states]."""
        return self.unit * np.exp(self.states[:, -1])

    def draws(self, points: Points, per: int, rng: np.random.Generator) -> Floats:
        """Return drawn scores without noise at points, `per` for each state: [states * per, N]."""
        with threadpool_limits(1):
            return self._draws(points, per, rng)

    def _draws(self, points: Points, per: int, rng: np.random.Generator) -> Floats:
        from scipy.linalg import cho_factor, cho_solve

        near, apart = self.points.distances(self.points), points.distances(points)
        across = points.distances(self.points)
        found = []
        for state in self.states:
            noise = np.exp(2 * state[-1]) / self.counts
            factor = cho_factor(_kernel(near, state) + np.diag(noise), lower=True)
            between = _kernel(across, state)
            means = between @ cho_solve(factor, self.scores)
            values, vectors = np.linalg.eigh(_kernel(apart, state) - between @ cho_solve(factor, between.T))
            root = vectors * np.sqrt(np.clip(values, 0, None))
            found.append(means + rng.standard_normal((per, len(points))) @ root.T)
        return self.mean + self.unit * np.vstack(found)

    def importances(self, rng: np.random.Generator, per: int = 6) -> Floats:
        """Return drawn shares of the variance that each key alone explains over the whole space, [draws, keys].

        The first-order indices of Sobol by Jansen's estimator (Saltelli et al., 2010, table 2, f); categories are
        those that were tried, all as likely.
        """
        one, other = _spread(self.points, rng)
        places = one.joined(other)
        for key in range(one.keys):
            places = places.joined(one.mixed(other, key))
        values = self.draws(places, per, rng).reshape(-1, one.keys + 2, SAMPLES)
        variance = values[:, :2].reshape(len(values), -1).var(1)[:, None]
        shares: Floats = 1 - 0.5 * ((values[:, 1][:, None] - values[:, 2:]) ** 2).mean(2) / variance
        return shares


@dataclass(frozen=True)
class _Likelihood:
    """The posterior of the hyperparameters, given scores."""

    distances: Floats
    z: Floats
    counts: Floats
    squares: float
    freedom: int

    def log(self, state: Floats) -> float:
        from scipy.linalg import solve_triangular

        means = np.array([PRIORS["scale"][0]] * (len(state) - 2) + [PRIORS["amplitude"][0], PRIORS["noise"][0]])
        prior = -0.5 * float(((state - means) ** 2).sum())  # all deviations are 1
        noise = float(np.exp(2 * state[-1]))
        try:
            root = np.linalg.cholesky(_kernel(self.distances, state) + np.diag(noise / self.counts))
        except np.linalg.LinAlgError:
            return -np.inf
        white = solve_triangular(root, self.z, lower=True, check_finite=False)
        repeated = -self.freedom * state[-1] - self.squares / (2 * noise)
        return float(prior + repeated - 0.5 * (white @ white) - np.log(np.diag(root)).sum())

    def states(self, rng: np.random.Generator) -> Floats:
        """Return some states of a chain: half of the coordinates are moved in each step."""
        keys = len(self.distances)
        state, stride, kept = np.array([0.0] * keys + [0.3, -1.5]), 0.35, []
        level = self.log(state)
        every = (STEPS - WARM_UP) // KEPT
        for step in range(STEPS):
            proposal = state + stride * rng.standard_normal(keys + 2) * (rng.random(keys + 2) < 0.5)
            height = self.log(proposal)
            accepted = bool(np.log(rng.random()) < height - level)
            state, level = (proposal, height) if accepted else (state, level)
            if step < WARM_UP:
                stride *= float(np.exp(0.05 * (accepted - ACCEPTED)))
            elif (step - WARM_UP) % every == 0:
                kept.append(state)
        return np.array(kept)


def _kernel(distances: Floats, state: Floats) -> Floats:
    """Return Matern's covariance of smoothness 5/2 (Rasmussen and Williams, 2006, equation 4.17)."""
    keys = len(distances)
    scaled = np.tensordot(np.exp(-2 * state[:keys]), distances, 1)
    r = np.sqrt(5 * scaled)
    covariance: Floats = np.exp(2 * state[keys]) * (1 + r + r * r / 3) * np.exp(-r)
    return covariance


def _spread(points: Points, rng: np.random.Generator) -> tuple[Points, Points]:
    """Return two samples of the space, each of which has a point in each of as many slices of each key.

    They are Latin hypercubes (McKay et al., 1979); SciPy's Sobol sequence is as good, and takes a second to import.
    """
    width, levels = points.numbers.shape[1], points.names.max(0, initial=0) + 1
    halves = []
    for _ in range(2):
        slices = rng.permuted(np.tile(np.arange(SAMPLES), (points.keys, 1)), axis=1).T
        share = (slices + rng.random(slices.shape)) / SAMPLES
        names = np.floor(share[:, width:] * levels).astype(np.int64)
        halves.append(Points(share[:, :width], names))
    return halves[0], halves[1]


def chosen(scores: Floats, rng: np.random.Generator, most: int = MOST) -> NDArray[np.int64]:
    """Return which points a surface is made of where there are many: the best half of them, and others by lot."""
    order = np.argsort(scores, kind="stable")
    if len(order) <= most:
        return np.sort(order)
    rest = rng.choice(order[most // 2 :], most - most // 2, replace=False)
    return np.sort(np.concatenate([order[: most // 2], rest]))


def fenced(scores: Floats) -> Floats:
    """Return scores of which none is worse than a fence, beyond which lie those of runs that nearly diverged."""
    low, high = np.quantile(scores, [0.25, 0.75])
    return np.minimum(scores, high + FENCE * (high - low)) if high > low else scores


def credible(probabilities: Floats, level: float) -> NDArray[np.int64]:
    """Return the fewest numbers whose probabilities reach a level together, the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")
    count = int(np.searchsorted(np.cumsum(probabilities[order]), level - 1e-12) + 1)
    return order[:count]
