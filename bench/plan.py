"""Planning and checking a thousand cells, against Hydra's basic sweeper composing them.

    python -m bench.plan

Processor time in one process. Ours ends with every cell's checked configuration and signature. Hydra's is what its
sweeper does before it launches (`validate_batch_is_legal`): it composes every cell and throws it away; the launcher
composes it again, which is not counted here. Its time is that of a sample, scaled to all cells.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from bench.compare import machine, medians
from gridstorm.command.hydra import hydra_in
from gridstorm.report.table import table
from gridstorm.sampler.grid import Grid
from gridstorm.sweeper.plan import Plan, checked

REPETITIONS, SAMPLE = 3, 60
TARGET, CELLS_A_SECOND = 30.0, 500.0
KEYS = ["optimizer.lr=range(0.001,0.011,0.001)", "data.batch_size=range(10,20)"]
SPACES = {
    "three keys of ten values": [*KEYS, "model.width=range(10,20)"],
    "the same with model=mlp,cnn": [*KEYS, "model.width=range(10,15)", "model=mlp,cnn"],
}


def ours(loader: ConfigLoader, texts: list[str]) -> float:
    """Return the seconds that a cell takes us, and make sure that there are a thousand."""
    start = time.process_time()
    plan = Plan(loader, "config", texts)
    trials = checked(plan, Grid()(plan.axes, plan.choices))
    if len({trial.signature for trial in trials}) != 1000:
        raise AssertionError(f"{len(trials)} cells, not a thousand.")
    return (time.process_time() - start) / len(trials)


def hydras(loader: ConfigLoader, texts: list[str]) -> float:
    """Return the seconds that a cell of a sample takes Hydra's sweeper."""
    config = loader.load_configuration("config", ["hydra/sweeper=basic"], run_mode=RunMode.MULTIRUN)
    context = HydraContext(config_loader=loader, callbacks=Callbacks())
    sweeper: Any = Plugins.instance().instantiate_sweeper(
        config=config, hydra_context=context, task_function=lambda _: None
    )
    (cells,) = sweeper.split_arguments(OverridesParser.create(config_loader=loader).parse_overrides(texts), None)
    sample = cells[:: len(cells) // SAMPLE][:SAMPLE]
    start = time.process_time()
    sweeper.validate_batch_is_legal(sample)
    return (time.process_time() - start) / len(sample)


def main() -> None:
    """Print the table; end with status 1 where a target is missed."""
    loader = hydra_in(None).config_loader
    contest: dict[tuple[str, str], Callable[[], float]] = {
        (space, who): partial(run, loader, texts)
        for (space, texts), (who, run) in product(SPACES.items(), (("ours", ours), ("hydra", hydras)))
    }
    taken = medians(contest, REPETITIONS)
    print(f"1,000 cells planned and checked, processor seconds, median of {REPETITIONS}; {machine()}\n")
    rows, missed = [("cells", "seconds", "cells a second", "Hydra composes", "times faster")], False
    for space in SPACES:
        cell, other = taken[space, "ours"], taken[space, "hydra"]
        rows.append((space, f"{1000 * cell:.2f}", f"{1 / cell:.0f}", f"{1000 * other:.0f}", f"{other / cell:.0f}"))
        missed = missed or other / cell < TARGET or 1 / cell < CELLS_A_SECOND
    print(table(rows, right=(1, 2, 3, 4)))
    print(f"\nHydra's seconds are those of {SAMPLE} cells, scaled to 1,000.")
    print(f"The targets are {TARGET:g} times faster and {CELLS_A_SECOND:g} cells a second.")
    sys.exit(missed)


if __name__ == "__main__":
    main()
