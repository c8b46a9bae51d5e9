"""Asynchronous successive halving, with runs that pause and go on."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Asha:
    """Trains every run to the first rung, and lets the best of each rung go on to the next as soon as they are known.

    A run that is not among the best pauses; it goes on later, from its checkpoint, if others turn out to be worse. So
    says Algorithm 2 of Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020). A rule that
    stops runs for good, as Optuna's does, lets the first ones through for want of others to compare them with.

    Args:
        min_resource: Epochs up to the first rung.
        reduction_factor: One in so many goes on from each rung, and the next rung has so many times its epochs.
    """

    min_resource: int = 2
    reduction_factor: int = 3
    _scores: dict[int, dict[str, float]] = field(default_factory=dict, init=False, repr=False)
    _gone_on: dict[int, set[str]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is too small.
        """
        if self.min_resource < 1 or self.reduction_factor < 2:
            raise ValueError(
                f"pruner.min_resource={self.min_resource} and pruner.reduction_factor={self.reduction_factor} make no "
                "rungs. Give at least 1 epoch and a factor of at least 2."
            )

    def rungs(self, max_epochs: int) -> list[int]:
        """Return the epochs at which runs of `max_epochs` are compared."""
        epochs, rung = [], self.min_resource
        while rung * self.reduction_factor <= max_epochs:
            epochs.append(rung)
            rung *= self.reduction_factor
        return epochs

    def limit(self, epochs: int, max_epochs: int) -> int | None:
        """Return the epoch at which a run that has trained `epochs` pauses next, None if it goes on to its end."""
        return next((rung for rung in self.rungs(max_epochs) if rung > epochs), None)

    def note(self, name: str, rung: int, score: float, mode: Literal["min", "max"]) -> None:
        """Take up the score of a run at a rung."""
        self._scores.setdefault(rung, {})[name] = score if mode == "min" else -score

    def go_on(self, name: str, rung: int) -> None:
        """Take up that a run has gone on from a rung."""
        self._gone_on.setdefault(rung, set()).add(name)

    def promotable(self) -> tuple[str, int] | None:
        """Return a run that pauses among the best of its rung, and that rung; from the highest rung down."""
        for rung in sorted(self._scores, reverse=True):
            scores, gone = self._scores[rung], self._gone_on.get(rung, set())
            best = sorted(scores, key=scores.__getitem__)[: len(scores) // self.reduction_factor]
            waiting = [name for name in best if name not in gone]
            if waiting:
                return waiting[0], rung
        return None
