"""How long a sweep would take, and which of its trials fit a budget."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from gridstorm.config import RunConfig, duration, leaves
from gridstorm.error import Problem, UserError
from gridstorm.record import Trial
from gridstorm.sweeper.grouping import Fusing

PACE = (
    "data",
    "model",
    "optimizer",
    "trainer",
)  # sections timed apart: without one of them, runs of another speed would share an estimate


@dataclass(frozen=True)
class Estimate:
    """How long a sweep would take, and the room that its checkpoints need.

    Args:
        trials: Those of the sweep, or some that stand for them.
        pilots: What was measured, by pace.
        fusing: Which runs are trained together.
        places: How many runs are trained at a time.
        count: How many trials the sweep has.
        drawn: Whether `trials` only stand for those that will be drawn.
    """

    trials: Sequence[Trial]
    pilots: Mapping[str, Mapping[str, float]]
    fusing: Fusing
    places: int
    count: int
    drawn: bool

    def seconds(self, trial: Trial) -> float:
        """Return the expected time of the runs of a trial."""
        gains = self.fusing.gains
        return sum(
            self.pilots[pace(run.config)]["seconds"] / gains.get(self.fusing.key(run), 1.0) for run in trial.runs
        )

    def bytes(self, trial: Trial) -> float:
        """Return the room that the checkpoints of a trial need."""
        return sum(self.pilots[pace(run.config)]["bytes"] for run in trial.runs)

    def step(self, trial: Trial) -> float:
        """Return the measured seconds of a training step."""
        return self.pilots[pace(trial.runs[0].config)]["step"]

    def total(self, trials: Sequence[Trial]) -> float:
        """Return the expected seconds until as many trials as `count`, such as these, are over."""
        return sum(map(self.seconds, trials)) / len(trials) * self.count / self.places


def within(trials: list[Trial], estimate: Estimate, budget: float, trim: bool) -> tuple[list[Trial], int]:
    """Return the trials that fit into `budget` seconds, the first ones where some do not, and how many they are.

    Of trials that are drawn, which are not known yet, only the number changes.

    Raises:
        UserError: They do not all fit, and `trim` is not set, or not even one fits.
    """
    whole = estimate.total(trials)
    if math.isnan(whole):
        fact = "How long the sweep takes is not known: its data do not say how many batches they have."
        raise UserError([Problem("sweep.budget", fact, "Give +trainer.limit_train_batches=NUMBER, or no budget.")])
    if whole <= budget:
        return trials, estimate.count
    ends = accumulate(estimate.seconds(trial) / estimate.places for trial in trials)
    fitting = int(estimate.count * budget / whole) if estimate.drawn else sum(end <= budget for end in ends)
    if trim and fitting:
        return (trials if estimate.drawn else trials[:fitting]), fitting
    fact = f"The sweep would take {duration(whole)}, and {fitting} of {estimate.count} trials fit."
    remedy = f"Allow sweep.budget={duration(whole)}"
    remedy += ", or add sweep.trim=true to train only those that fit." if fitting else "."
    raise UserError([Problem(f"sweep.budget={duration(budget)}", fact, remedy)])


def pace(config: RunConfig) -> str:
    """Return what decides how long a run takes, as text: numbers of the optimizer do not."""
    chosen = {name: config.values.get(name) for name in PACE}
    chosen["optimizer"] = (chosen["optimizer"] or {}).get("_target_")
    return json.dumps(
        {key: value for key, value in leaves(chosen) if key.rpartition(".")[2] not in ("seed", "dropout")}
    )
