"""Which settings may be the best one, and how good that is."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridstorm.answer.study import Setting, Study
from gridstorm.record import half_width
from gridstorm.statistics import MOST, Surface, chosen, credible, fenced, subset, within

Floats = NDArray[np.float64]
CLIPPED = 0.9  # quantile of the losses, above which they count as that
FEWEST = 8  # settings, with fewer of which nothing is said of the surface between them
TAIL = 0.02  # of the draws on each side of a score's interval: a little wide, since a model is a little too sure
PER_STATE = 100  # draws of the surface for each state of its chain


@dataclass(frozen=True)
class Contest:
    """The compared settings against each other.

    Args:
        study: The sweep.
    """

    study: Study
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def settings(self) -> list[Setting]:
        """Those that are compared, the best mean first."""
        return self.study.compared

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Which of the settings the surface is made of."""
        return chosen(np.array([one.loss for one in self.settings]), self.rng)

    @cached_property
    def surface(self) -> Surface | None:
        """What is believed of the good settings; None where there are too few of them, or all scored the same.

        The worst tenth counts as the best of it: how bad the bad ones are must not set the noise of the good ones.
        """
        losses = np.array([one.loss for one in self.settings])
        return self._through(np.minimum(losses, np.quantile(losses, CLIPPED)), self.rows) if len(losses) else None

    @cached_property
    def whole(self) -> Surface | None:
        """What is believed of the whole space, in which bad settings count, too; those far out count as the fence."""
        if not self.settings:
            return None
        count = len(self.settings)
        rows = np.sort(self.rng.choice(count, min(count, MOST), replace=False))  # all parts of the space alike
        return self._through(fenced(np.array([one.loss for one in self.settings])), rows)

    @cached_property
    def repeats(self) -> tuple[NDArray[np.bool_], float, int] | None:
        """Gupta's subset with the deviation of a run and its freedom; None where seeds tell no noise."""
        found = subset(self.study.matrix) if self.study.is_repeated else None
        return found if found and found[2] else None

    def _through(self, losses: Floats, rows: NDArray[np.int64]) -> Surface | None:
        if len(losses) < FEWEST or not self.study.axes or losses.std() == 0:
            return None
        some = [self.settings[row] for row in rows]
        counts = np.array([float(len(one.losses)) for one in some])
        _, deviation, freedom = self.repeats or (None, 0.0, 0)
        repeated = (deviation**2 * freedom, freedom)
        return Surface.draw(self.study.points(some), losses[rows], counts, self.rng, repeated)

    @cached_property
    def draws(self) -> Floats:
        """Drawn losses without noise of the settings in `rows`, [draws, rows]."""
        assert self.surface is not None
        return self.surface.draws(self.surface.points, PER_STATE, self.rng)

    @cached_property
    def tie(self) -> list[Setting] | None:
        """The settings that may be the best one, the likeliest first; None where nothing tells noise from difference.

        With several seeds it is Gupta's subset, which holds the truly best one in 95 % of all sweeps. With one seed
        it is the 99 % set of the drawn surface, since a model tells the noise.
        """
        if len(self.settings) < 2:
            return [*self.settings]
        if self.repeats:
            return [one for one, tied in zip(self.settings, self.repeats[0], strict=True) if tied]
        if self.surface is None:
            return None
        probabilities = np.bincount(self.draws.argmin(1), minlength=len(self.rows)) / len(self.draws)
        return [self.settings[self.rows[place]] for place in credible(probabilities, 0.99)]

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the loss of the setting with the best mean, without its luck; None where none is known.

        Of a surface it is that of the draws. Of few settings with several seeds it is Student's t, widened for all of
        them (Bonferroni), since the best was chosen by its mean.
        """
        if self.surface is not None:
            best = int(np.flatnonzero(self.rows == 0)[0])  # the settings are in the order of their means
            low, high = np.quantile(self.draws[:, best], [TAIL, 1 - TAIL])
            return float(low), float(high)
        if not self.settings or len(self.settings[0].losses) < 2:
            return None
        from scipy.special import stdtrit

        if len(self.settings) == 1:
            half = half_width([*self.settings[0].losses.values()])
            return self.settings[0].loss - half, self.settings[0].loss + half
        deviation, freedom = within(self.study.matrix)
        if not freedom:
            return None
        half = float(stdtrit(freedom, 1 - 0.025 / len(self.settings))) * deviation / len(self.settings[0].losses) ** 0.5
        return self.settings[0].loss - half, self.settings[0].loss + half

    @cached_property
    def noise(self) -> float | None:
        """The deviation of a run's score that chance alone makes; None where it is not known."""
        if self.study.is_repeated and (found := within(self.study.matrix))[1]:
            return found[0]
        return float(np.median(self.surface.noise)) if self.surface else None

    @property
    def how(self) -> str:
        """By which rule the tie was found, in words."""
        if self.repeats:
            return "95 % sure, seeds compared in pairs"
        return "99 % sure by a model of the scores, since each was trained once"

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        tie = None if self.tie is None else [one.number for one in self.tie]
        ends = None if self.interval is None else sorted(self.study.sign * end for end in self.interval)
        return {"tie": tie, "interval": ends, "noise": self.noise}
