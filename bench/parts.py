"""Where the time of a group goes.

    python -m bench.parts [mlp] [cnn] [transformer]

Wall time of one group in one process on one thread, each part without the others within it. What Lightning's loop and
we ourselves add to a step is what is left.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from bench.compare import machine
from bench.fused import timed
from bench.together import CELLS
from gridstorm.callbacks.checkpoint import Checkpoint
from gridstorm.fusion import training as fused
from gridstorm.fusion.group import Group, Zipped
from gridstorm.fusion.member import Member
from gridstorm.record.run import RunRecord
from gridstorm.report.table import table

PARTS: dict[str, list[tuple[Any, str]]] = {
    "forward": [(Group, "training_step")],
    "backward": [(Group, "backward")],
    "optimizer": [(torch.optim.Adam, "step")],
    "data": [(Zipped, "__iter__")],
    "validation": [(Group, "validation_step"), (Group, "on_validation_epoch_end")],
    "curves and events": [(RunRecord, "log"), (Group, "on_train_epoch_end"), (Group, "on_before_optimizer_step")],
    "checkpoints": [(Checkpoint, "on_train_epoch_end")],
    "start": [(fused, "_built"), (fused, "begin"), (Member, "__init__"), (Group, "configure_optimizers")],
    "end": [(Member, "conclude")],
    "the rest": [(fused, "fit")],
}


class Clock:
    """Seconds by part; a part that runs within another one stops its clock."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("", *PARTS), 0.0)
        self._part, self._since = "", time.perf_counter()

    def enter(self, part: str) -> str:
        """Go over to a part; return the one before."""
        now, before = time.perf_counter(), self._part
        self.seconds[before] += now - self._since
        self._part, self._since = part, now
        return before

    def timing(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose time is the part's, also while what it returns is iterated over."""

        @functools.wraps(function)
        def called(*args: Any, **given: Any) -> Any:
            before = self.enter(part)
            try:
                found = function(*args, **given)
            finally:
                self.enter(before)
            return self.iterated(part, found) if isinstance(found, Iterator) else found

        return called

    def iterated(self, part: str, iterator: Iterator[Any]) -> Iterator[Any]:
        """Yield what an iterator yields, in the part's time."""
        step = self.timing(part, next)
        end = object()
        while (value := step(iterator, end)) is not end:
            yield value


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    clock = Clock()
    for part, places in PARTS.items():
        for owner, name in places:
            setattr(owner, name, clock.timing(part, getattr(owner, name)))
    print(machine(), end="\n\n")
    for shape in sys.argv[1:] or CELLS:
        timed(shape, 2, True)  # the first pass loads what it needs
        clock.seconds.update(dict.fromkeys(PARTS, 0.0))
        whole = timed(shape, CELLS[shape], True)
        rows = [(name, f"{clock.seconds[name]:.2f}", f"{clock.seconds[name] / whole:.0%}") for name in PARTS]
        print(table([(f"{shape}, {CELLS[shape]} cells", "seconds", "share"), *rows], right=(1, 2)))
        print(f"all of it {whole:.2f} s\n", flush=True)


if __name__ == "__main__":
    main()
