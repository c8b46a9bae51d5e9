"""The curves of a training, wherever they were recorded, and what is known of how it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
NOTHING: Numbers = np.empty(0)
FEWEST = 5  # epochs of a training of which only the curves are known, from which a trend can be told


@dataclass(frozen=True)
class Facts:
    """What was set, as far as it is known: rules are careful where it is not, and remedies name its keys.

    Args:
        keys: The values that were set, by their keys on the command line.
        choices: The choice of each group that is known, such as `optimizer: adam`.
        lr_key: The key of the learning rate, None where nobody knows it.
        trivial_loss: What the best constant predictor reaches in the training loss.
        trivial_val_loss: The same of the validation loss.
        val_samples: Validation samples.
        stopped: Whether the run ended before the epochs that it was to have.
    """

    keys: dict[str, object] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    lr_key: str | None = None
    trivial_loss: float | None = None
    trivial_val_loss: float | None = None
    val_samples: int | None = None
    stopped: bool = False

    def number(self, key: str) -> float | None:
        """Return the number at a key, None where there is none."""
        value = self.keys.get(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def lr(self) -> float | None:
        """The learning rate that was set."""
        return self.number(self.lr_key) if self.lr_key else None

    def largest(self, name: str) -> float:
        """Return the largest number at the keys that end with a name, such as `dropout`; 0 where there is none."""
        values = [self.number(key) or 0.0 for key in self.keys if key.rpartition(".")[2] == name]
        return max(values, default=0.0)


@dataclass(frozen=True)
class LayerCurves:
    """What single steps did to each layer.

    Args:
        names: Of the layers, from the input to the output.
        steps: The steps that were looked at [P].
        grad: Norms of the gradients [P, L].
        update: Norms of the changes over those of the weights [P, L].
        dead: Shares of the units without a gradient [P, L].
    """

    names: Sequence[str] = ()
    steps: Numbers = field(default_factory=lambda: NOTHING)
    grad: Numbers = field(default_factory=lambda: np.empty((0, 0)))
    update: Numbers = field(default_factory=lambda: np.empty((0, 0)))
    dead: Numbers = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True)
class Curves:
    """The curves of one training; NaN stands where a number was not finite or is not there.

    Args:
        losses: The training loss of single steps, in their order [S]; where only epochs are known, these.
        steps: The number of each, from 1 [S].
        epochs: The epoch of each, from 1 [S].
        train: The mean training loss of each epoch [E].
        val: The validation loss at the end of each epoch [E]; empty where there is none.
        score: What chooses the best epoch [E]; empty where there is nothing but the loss.
        mode: Whether the score is better when it is smaller (`min`) or larger (`max`).
        monitor: The name of the score.
        ends: The last step of each epoch [E].
        grad_norm: Norms of the whole gradient, before it is clipped [P].
        lr: The learning rate at the end of each epoch [E].
        layers: What single steps did to each layer.
        facts: What was set.
        name: Whose curves they are.
        is_stepwise: Whether `losses` are those of steps.
    """

    losses: Numbers
    steps: Numbers
    epochs: Numbers
    train: Numbers
    val: Numbers = field(default_factory=lambda: NOTHING)
    score: Numbers = field(default_factory=lambda: NOTHING)
    mode: str = "min"
    monitor: str = "val/loss"
    ends: Numbers = field(default_factory=lambda: NOTHING)
    grad_norm: Numbers = field(default_factory=lambda: NOTHING)
    lr: Numbers = field(default_factory=lambda: NOTHING)
    layers: LayerCurves = field(default_factory=LayerCurves)
    facts: Facts = field(default_factory=Facts)
    name: str = ""
    is_stepwise: bool = False

    @cached_property
    def first(self) -> float:
        """The training loss of the first step, before anything was learned."""
        finite = self.losses[np.isfinite(self.losses)]
        return float(finite[0]) if len(finite) else float("nan")

    @cached_property
    def end(self) -> float:
        """The mean training loss of the last tenth of the steps."""
        finite = self.losses[np.isfinite(self.losses)]
        return float(finite[-max(1, len(finite) // 10) :].mean()) if len(finite) else float("nan")

    @cached_property
    def is_known(self) -> bool:
        """Whether it is known what a predictor reaches that has learned nothing."""
        return bool(self.facts.trivial_loss)

    @cached_property
    def is_signed(self) -> bool:
        """Whether losses are below 0, such as likelihoods', or begin with it: of these no shares can be told."""
        return bool(np.nanmin(self.losses, initial=np.inf) < 0) or self.first <= 0

    @cached_property
    def trivial(self) -> float:
        """The training loss of a predictor that has learned nothing: of the best constant, else of the first step.

        Of losses below 0 it is by how much they fell, the unit in which everything else is told.
        """
        if self.facts.trivial_loss:
            return self.facts.trivial_loss
        if not self.is_signed:
            return self.first
        return float(max(np.ptp(self.train), 0.05 * np.abs(self.train).max())) or 1.0

    @cached_property
    def trivial_val(self) -> float:
        """The same of the validation loss."""
        return self.facts.trivial_val_loss or self.trivial

    @cached_property
    def cost(self) -> Numbers:
        """What should fall [E]: the validation loss, smoother than a score; else the score, or the training loss."""
        if len(self.val):
            return self.val
        chosen = self.score if len(self.score) else self.train
        return -chosen if self.mode == "max" and len(self.score) else chosen

    @cached_property
    def swings(self) -> tuple[float, float]:
        """By how much losses of neighboring epochs differ in the last third, in units of the trivial loss.

        Of the validation, and of the training.
        """
        return tuple(_swing(losses) / self.trivial for losses in (self.val, self.train))  # type: ignore[return-value]  # two

    @cached_property
    def late(self) -> float:
        """The share of all improvement of the cost that the last quarter of the epochs brought."""
        cost = self.cost
        quarter = max(1, len(cost) // 4)
        if len(cost) < (2 * quarter + 1 if self.facts.choices else FEWEST):
            return 0.0
        gain = cost[0] - np.nanmin(cost)
        return float((cost[-2 * quarter : -quarter].mean() - cost[-quarter:].mean()) / gain) if gain > 0 else 0.0

    @cached_property
    def late_fall(self) -> float:
        """By how much the training loss fell in the last quarter of the epochs, in units of the trivial loss."""
        quarter = self.quarter
        if len(self.train) < 2 * quarter:
            return 0.0
        return float((self.train[-2 * quarter : -quarter].mean() - self.train[-quarter:].mean()) / self.trivial)

    @property
    def quarter(self) -> int:
        """A quarter of the epochs, one at least."""
        return max(1, len(self.train) // 4)

    @cached_property
    def falls(self) -> float:
        """By how much an epoch of the last quarter lowered both losses, in units of the trivial loss."""
        quarter = self.quarter
        if len(self.val) < 2 * quarter:
            return 0.0
        of_val = (self.val[-2 * quarter : -quarter].mean() - self.val[-quarter:].mean()) / self.trivial
        return float(min(of_val, self.late_fall) / quarter)

    @cached_property
    def stands_still(self) -> bool:
        """Whether the training loss never moved, and is not near 0."""
        if len(self.train) < 3 or not np.isfinite(self.train).all() or self.end < 0.3 * self.trivial:
            return False
        begin = float(np.mean(self.losses[: max(1, len(self.losses) // len(self.train) // 2)]))
        return bool(np.ptp(self.train) < 0.02 * self.train[0] and abs(begin - self.train[-1]) < 0.2 * begin)

    @cached_property
    def improves_to_the_end(self) -> bool:
        """Whether the best cost is that of the last epochs, and training still falls."""
        cost = self.cost
        if len(cost) < 3 or not np.isfinite(cost).all():
            return False
        return bool(cost.argmin() >= len(cost) - 1 - len(cost) // 10 and self.train[-1] <= 1.01 * self.train.min())

    @cached_property
    def gap(self) -> float:
        """The validation loss above the training loss at the end, in units of the trivial loss."""
        return float((self.val[-1] - self.train[-1]) / self.trivial) if len(self.val) else 0.0

    @cached_property
    def val_end(self) -> float:
        """The validation loss at the end, the median of the last eighth of the epochs."""
        return float(np.median(self.val[-max(1, len(self.val) // 8) :]))

    @cached_property
    def overfits(self) -> bool:
        """Whether the validation loss rose for good while the training loss went on falling."""
        if len(self.val) < 3 or not np.isfinite(self.val).all():
            return False
        best, last = int(self.val.argmin()), max(1, len(self.val) // 8)
        rise = self.val_end - self.val[best]
        unit = self.trivial if self.is_signed else self.val[best]
        falls = self.train[-last:].mean() < self.train[max(0, best - 1) : best + 2].mean()
        chance = 0.25 / (self.facts.val_samples or 300) ** 0.5  # what few samples may rise by, hardly learned by heart
        return bool(rise > max(0.15 * unit, chance * self.trivial) and falls and best < len(self.val) - last)

    @cached_property
    def share_of_position(self) -> float | None:
        """The share of the variance of a step's loss within its epoch that its place in the epoch explains.

        Trends within an epoch do not count. None where there are too few steps or epochs to tell.
        """
        if not self.is_stepwise:
            return None
        rounds = [self.losses[self.epochs == epoch] for epoch in np.unique(self.epochs)]
        rounds = rounds[len(rounds) // 2 :]
        length = min(map(len, rounds))
        if length < 6 or len(rounds) < 2:
            return None
        table = np.array([its[:length] for its in rounds])
        place = np.arange(length) - (length - 1) / 2
        table = table - table.mean(1, keepdims=True)
        table = table - (table @ place / (place @ place))[:, None] * place
        whole, of_place = float(table.var()), float(table.mean(0).var())
        return (of_place - (whole - of_place) / (len(rounds) - 1)) / whole if whole > 0 else None

    def ends_trivially(self, share: float) -> bool:
        """Tell whether the last third of the validation losses is no better than trivial, and the best hardly is.

        Args:
            share: Of the trivial loss, above which the best one is.
        """
        if len(self.val) < 3:
            return False
        late = float(self.val[-len(self.val) // 3 :].mean())
        return bool(late > 0.97 * self.trivial_val and np.nanmin(self.val) > share * self.trivial_val)

    @property
    def has_constant_rate(self) -> bool:
        """Whether the learning rate is known to be the same in all epochs."""
        return len(self.lr) > 1 and bool(np.ptp(self.lr) <= 1e-6 * self.lr.max())

    @property
    def rate_falls(self) -> bool:
        """Whether the learning rate is known to end far below its highest value."""
        return len(self.lr) > 1 and bool(self.lr[-1] < 0.2 * np.nanmax(self.lr))

    @property
    def middle_step(self) -> int:
        """The step in the middle of the training."""
        return int(self.steps[len(self.steps) // 2])

    def number_of(self, place: int) -> int:
        """Return the number of an epoch, from 1, by its place among those with curves."""
        return int(np.unique(self.epochs)[place])

    def step_of(self, place: int) -> int:
        """Return the last step of an epoch."""
        return int(self.ends[place])


def _swing(losses: Numbers) -> float:
    """Return by how much losses go up and down again in the last third, an epoch on average; a trend is no swing."""
    moves = np.diff(losses[-max(5, len(losses) // 3) :])
    up, down = moves[moves > 0].sum(), -moves[moves < 0].sum()
    return float(2 * min(up, down) / len(moves)) if len(moves) > 1 else 0.0
