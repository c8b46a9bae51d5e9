"""Which runs of a sweep are trained together, as one stacked model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gridstorm.trial import Run, Trial

Member = tuple[Trial, Run]


@dataclass
class Fusing:
    """Groups of runs that differ in numbers alone.

    Args:
        horizon: How many runs are looked at for the next group; 1 trains each alone.
        sizes: By the key of a group, how many of its runs are trained together at most.
    """

    horizon: int = 1
    sizes: dict[str, int] = field(default_factory=dict)

    def group(self, waiting: Sequence[Member], places: int) -> list[Member]:
        """Return the next runs to be trained together: the first one that waits, and those like it.

        Every place is to have work, so that a group has at most its share of them.
        """
        if not waiting:
            return []
        key = self.key(waiting[0][1])
        alike = [one for one in waiting if self.key(one[1]) == key] if key in self.sizes else [waiting[0]]
        return alike[: min(self.sizes.get(key, 1), math.ceil(len(alike) / places))]

    def key(self, run: Run) -> str:
        """Return what runs have in common that can be one group."""
        return run.composed.signature
