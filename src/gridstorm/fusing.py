"""Which runs of a sweep are trained together, as one stacked model, and why others are not."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gridstorm.grouping import key, why_not
from gridstorm.recipe import Composed
from gridstorm.trial import Run, Trial

Member = tuple[Trial, Run]
PAYS = 1.2  # times less time, below which runs are trained apart
SAMPLE = 16  # runs of a group that are tried
SHARE = 0.5  # of the free memory that groups may take
WORTH = 100  # epochs of all runs of a group, below which it takes longer to find out whether it pays


@dataclass
class Fusing:
    """Groups of runs that differ in numbers alone.

    Args:
        wanted: `auto`: where it was measured to pay; a number: at most so many; 1: each run alone.
        horizon: How many runs are looked at for the next group.
        unseen: How many runs are trained together at most of which nothing was known before.
        sizes: By the key of a group, how many of its runs are trained together at most.
        gains: By the key of a group, how many times less time its runs take together.
        reasons: For each reason not to train runs together, how many have it.
    """

    wanted: str | int = 1
    horizon: int = 1
    unseen: int = 1
    sizes: dict[str, int] = field(default_factory=dict)
    gains: dict[str, float] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def look(
        self, runs: Sequence[Run], sharing: int, tried: Callable[[Sequence[list[Composed]], bool], list[Any]]
    ) -> None:
        """Find out which of these runs can be trained together, and whether it pays.

        Args:
            runs: What is to be trained.
            sharing: How many jobs share one memory.
            tried: Returns for each group of configurations, measured or not, what `gridstorm.job.gain` says of it.
        """
        groups: dict[str, list[Run]] = {}
        for run in runs:
            if reason := why_not(run.composed):
                self.reasons[reason] += 1
            else:
                groups.setdefault(self.key(run), []).append(run)
        single = [name for name, members in groups.items() if len(members) == 1]
        short = [name for name, members in groups.items() if name not in single and not self._worth(members)]
        self.reasons["no other run differs in numbers alone"] += len(single)
        self.reasons["they are so few and short that finding out would take longer"] += sum(
            len(groups[n]) for n in short
        )
        several = {name: members for name, members in groups.items() if name not in (*single, *short)}
        asked = [[run.composed for run in members[:SAMPLE]] for members in several.values()]
        for (name, members), said in zip(several.items(), tried(asked, self.wanted == "auto"), strict=True):
            if said["why"] or (self.wanted == "auto" and said["gain"] < PAYS):
                self.reasons[said["why"] or f"it was measured not to pay ({said['gain']:.2g} times)"] += len(members)
                continue
            room = int(SHARE * said["free"] / sharing / said["bytes"])
            most = len(members) if self.wanted == "auto" else int(self.wanted)
            self.sizes[name], self.gains[name] = max(1, min(room, most)), said["gain"]
        self.horizon = len(runs) if self.sizes else 1

    def _worth(self, members: Sequence[Run]) -> bool:
        epochs = sum(int(run.composed.config["trainer"]["max_epochs"] or 1) for run in members)
        return self.wanted != "auto" or epochs >= WORTH

    def group(self, waiting: Sequence[Member], places: int, busy: int = 0) -> list[Member]:
        """Return the next runs to be trained together: the first one that waits, and those like it.

        Args:
            waiting: What is to be trained.
            places: How many jobs run at a time. A group has at most a place's share, so that every place has work.
            busy: How many runs are in training already.
        """
        if not waiting:
            return []
        name = self.key(waiting[0][1]) if self.horizon > 1 else ""
        most = self.sizes.get(name, self.unseen)
        if most == 1 or not name or why_not(waiting[0][1].composed):
            return [waiting[0]]
        alike = [one for one in waiting if self.key(one[1]) == name]
        return alike[: min(most, math.ceil((len(waiting) + busy) / places))]

    @staticmethod
    def key(run: Run) -> str:
        """Return what runs have in common that can be one group; those at another epoch are another one."""
        rows = run.record.rows() if run.record and run.record.begun else []
        return f"{rows[-1]['epoch'] if rows else 0} {key(run.composed)}"

    def __str__(self) -> str:
        """Return in a line for each what is trained together, and what is not and why."""
        measured = self.gains if self.wanted == "auto" else {}
        lines = [
            f"trained together, at most {size}" + (f": {measured[name]:.2g} times faster" if name in measured else "")
            for name, size in self.sizes.items()
        ]
        lines += [f"trained apart, {count}: {reason}" for reason, count in self.reasons.items() if count]
        return "\n".join(lines)
