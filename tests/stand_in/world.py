"""Made-up sweeps whose truth is known: what each setting would score without noise, and which key decides most."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridstorm.answer import Setting, Study
from gridstorm.record import Status

Floats = NDArray[np.float64]
NOISE = (0.05, 0.15, 0.4)  # deviations of a run, in those of the true scores
OUTSIDE = 0.3  # chance that a key's best value lies outside of the range
FINE = np.linspace(0, 1, 201)
LEVELS = ("a", "b", "c")


@dataclass
class World:
    """Bowls that are steeper on one side (linex), of unequal strength, two of which depend on one another.

    Args:
        rng: The source of chance.
        keys: How many numbers from 0 to 1 there are.
        names: Whether there is a category, too, which moves the first bowl.
    """

    rng: np.random.Generator
    keys: int
    names: bool = False

    def __post_init__(self) -> None:
        rng, keys = self.rng, self.keys
        inside, ends = rng.uniform(0.1, 0.9, keys), rng.choice([-1, 1], keys)
        outside = rng.random(keys) < OUTSIDE
        beyond = np.where(ends > 0, rng.uniform(1.05, 1.4, keys), rng.uniform(-0.4, -0.05, keys))
        self.best = np.where(outside, beyond, inside)
        self.slant = rng.choice([-1, 1], keys) * rng.uniform(0.5, 2.5, keys)
        self.weight = rng.permutation([1, 0.6, 0.35, 0.2][:keys]) * rng.uniform(0.8, 1.25, keys)
        self.pair = rng.choice(keys, 2, replace=False)
        self.twist = rng.uniform(-1, 1) * 0.5
        self.level = rng.choice(NOISE)
        self.top = 1.0  # the largest value of the first key that has a score
        self.shift = rng.uniform(-0.15, 0.15, len(LEVELS)) if self.names else np.zeros(1)
        self.lift = rng.uniform(0, 1, len(LEVELS)) if self.names else np.zeros(1)
        sample, names = rng.random((2000, keys)), rng.integers(0, len(self.shift), 2000)
        losses = self.true(sample, names)
        self.sigma = self.level * float(losses.std())
        self.edge = self._edges(sample[int(losses.argmin())], int(names[int(losses.argmin())]))

    def _edges(self, place: Floats, level: int) -> NDArray[np.int64]:
        """Return for each key on which side the best of the range lies at its end, 0 where it lies inside."""
        for _ in range(30):  # along one key after the other, which a bowl allows
            for key in range(self.keys):
                line = np.repeat(place[None], len(FINE), 0)
                line[:, key] = FINE
                place = line[int(self.true(line, np.full(len(FINE), level)).argmin())]
            lines = np.repeat(place[None], len(self.shift), 0)
            level = int(self.true(lines, np.arange(len(self.shift))).argmin())
        self.lowest = place
        return np.where(place == 0, -1, np.where(place == 1, 1, 0))

    def _bowl(self, key: int, x: Any, shift: Any = 0.0) -> Any:
        t = (x - self.best[key] - shift) * self.slant[key]
        return self.weight[key] * (np.exp(t) - t - 1) / self.slant[key] ** 2 * 8

    def true(self, x: Floats, names: NDArray[np.int64]) -> Floats:
        """Return the losses of settings x [N, keys] with the categories [N], without noise."""
        one, other = self.pair
        twist = 2 * self.twist * (x[:, one] - self.best[one]) * (x[:, other] - self.best[other])
        bowls = [self._bowl(key, x[:, key], self.shift[names] if key == 0 else 0.0) for key in range(self.keys)]
        found: Floats = np.sum(bowls, 0) + twist + self.lift[names]
        return found

    @property
    def first(self) -> int:
        """The key that explains most of the variance alone; the category is the last one."""
        rng = np.random.default_rng(0)
        x, names = rng.random((4000, self.keys)), rng.integers(0, len(self.shift), 4000)
        x[:, 0] *= self.top
        effects = []
        for key in range(self.keys):
            means = []
            for place in FINE[::10] * (self.top if key == 0 else 1):
                moved = x.copy()
                moved[:, key] = place
                means.append(self.true(moved, names).mean())
            effects.append(float(np.var(means)))
        if self.names:
            effects.append(float(np.var([self.true(x, np.full(4000, level)).mean() for level in range(len(LEVELS))])))
        self.effects = effects
        return int(np.argmax(effects))


@dataclass
class Simulated:
    """A sweep of a world.

    Args:
        study: What was seen.
        world: What is so.
        losses: The true losses of the compared settings, in their order.
    """

    study: Study
    world: World
    losses: Floats


def simulated(kind: str, seed: int, names: bool = False, failing: float = 0.0, mode: str = "min") -> Simulated:
    """Return a made-up sweep.

    Args:
        kind: `grid` (5 by 4 by 3 with three seeds), `random` (40 of four keys), or `tpe` (60 of them).
        seed: Of all of it.
        names: Whether one more key is a category.
        failing: The share of the first key's range, at its top, in which every run diverges.
        mode: Whether larger scores are better.
    """
    rng = np.random.default_rng([seed, len(kind)])
    world = World(rng, 3 if kind == "grid" else 4, names)
    if kind == "grid":
        x = np.array([*product(*(np.linspace(0, 1, count) for count in (5, 4, 3)))])
        x, levels = (np.repeat(x, 3, 0), np.tile([0, 1, 2], len(x))) if names else (x, np.zeros(len(x), int))
        runs = world.true(x, levels)[:, None] + world.sigma * rng.standard_normal((len(x), 3))
        sampler = "grid"
    elif kind == "random":
        x, levels = rng.random((40, world.keys)), rng.integers(0, len(world.shift), 40)
        runs = (world.true(x, levels) + world.sigma * rng.standard_normal(40))[:, None]
        sampler = "random"
    else:
        x, levels, runs = _searched(world, rng, seed)
        sampler = "tpe"
    settings: list[Setting] = []
    for row, level, losses in zip(x, levels, runs, strict=True):
        values = {f"k{key}": float(value) for key, value in enumerate(row)} | ({"name": LEVELS[level]} if names else {})
        bad = row[0] > 1 - failing
        scores = {} if bad else dict(enumerate(map(float, losses)))
        settings.append(
            Setting(values, scores, number=len(settings) + 1, status=Status.DIVERGED if bad else Status.DONE)
        )
    world.top = float(x[x[:, 0] <= 1 - failing, 0].max()) if failing else 1.0
    study = Study(
        settings, "val/loss", mode, {"sampler": sampler, "log": [], "drawn": [f"k{key}" for key in range(world.keys)]}
    )
    order = [one.number - 1 for one in study.compared]
    return Simulated(study, world, world.true(x, levels)[order])


def _searched(world: World, rng: np.random.Generator, seed: int) -> tuple[Floats, NDArray[np.int64], Floats]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for _ in range(60):
        trial = study.ask()
        row = np.array([[trial.suggest_float(f"k{key}", 0, 1) for key in range(world.keys)]])
        level = LEVELS.index(trial.suggest_categorical("name", LEVELS)) if world.names else 0
        study.tell(trial, float(world.true(row, np.array([level]))[0] + world.sigma * rng.standard_normal()))
    x = np.array([[trial.params[f"k{key}"] for key in range(world.keys)] for trial in study.trials])
    levels = np.array([LEVELS.index(trial.params["name"]) if world.names else 0 for trial in study.trials])
    return x, levels, np.array([[trial.value] for trial in study.trials], float)
