"""How often `gridstorm.diagnosis` finds what was planted, and nothing in what is healthy.

    python -m bench.diagnosis [--looked-at] [--worlds NAME ...] [FOLDER]

It trains all of `bench.plants` itself: each of its cells with SEEDS, which no rule was set by, and the world `rings`,
which nobody looked at meanwhile. With --looked-at it takes the seeds by which rules were set. FOLDER keeps the runs, so
that the same command goes on; then the first remedy of each finding is trained as it is printed.

A planted run counts where its plant did harm: its last validation loss is above that of its healthy twins by more than
two of their standard deviations, unless its kind says otherwise (COUNTS).
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

import gridstorm
from bench.plants import FILES, SET_ASIDE, Cell, cells, changed
from gridstorm.diagnosis import Finding, curves_in, diagnose
from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.finding import HEALTHY
from gridstorm.record import LayerFile, StepFile
from gridstorm.report import table

LOOKED_AT, SEEDS = range(200, 220), range(300, 320)
CURED = 6  # seeds whose remedies are trained

# What else counts as found: one and the same thing by two names.
OVERLAPS = {
    "not_finite": {"diverged"},
    "diverged": {
        "not_finite",
        "exploding_gradients",
        "oscillating",
        "rising_train_loss",
        "lr_at_stability_edge",
        "dead_units",
    },
    "oscillating": {"lr_at_stability_edge", "noisy_end", "diverged", "dead_units", "rising_train_loss"},
    "lr_at_stability_edge": {"oscillating", "diverged", "not_finite", "dead_units", "noisy_end"},
    "noisy_end": {"oscillating", "lr_at_stability_edge"},
    "rising_train_loss": {"diverged", "oscillating", "not_finite"},
    "overfitting": {"never_learned"},
    "too_slow": {"still_improving", "never_learned"},
    "still_improving": {"too_slow"},
    "never_learned": {"too_slow", "overfitting"},
    "vanishing_gradients": {"never_learned", "dead_units"},
    "exploding_gradients": {"not_finite", "diverged"},
}


def last(curves: Curves) -> float:
    """Return the last validation loss, infinity where it is no number."""
    return float(curves.val[-1]) if len(curves.val) and np.isfinite(curves.val[-1]) else np.inf


def harmed(curves: Curves, twins: Sequence[Curves]) -> bool:
    """Tell whether the last validation loss is above those of healthy twins, beyond their noise."""
    theirs = [*map(last, twins)]
    return bool(last(curves) > np.mean(theirs) + 2 * np.std(theirs))


def _better(curves: Curves, twins: Sequence[Curves]) -> bool:
    theirs = [*map(last, twins)]
    return bool(last(curves) < 2 / 3 * np.mean(theirs))


def _early(curves: Curves, _: Sequence[Curves]) -> bool:
    if not np.isfinite(last(curves)):
        return False
    gain = curves.val[0] - curves.val.min()
    return bool(curves.val[: len(curves.val) // 3].min() <= curves.val.min() + 0.01 * gain)


WASTE = ("saturated", "over_clipped")  # of which the remedy is to cost less, and to reach the same

# Where a kind of plant has a definition of its own.
COUNTS: dict[str, Callable[[Curves, Sequence[Curves]], bool]] = {
    "not_finite": lambda curves, _: not np.isfinite(curves.losses).all(),
    "diverged": lambda curves, _: last(curves) > 1.5 * curves.trivial_val,
    "overfitting": lambda curves, _: bool(np.inf > last(curves) > 1.15 * np.nanmin(curves.val)),
    "saturated": _early,
    "leak": _better,
}


@dataclass
class Tally:
    """What came out for a kind.

    Args:
        planted: Runs that count.
        found: Of those, the ones in which the kind, or what is the same, was found.
        names: The gravest finding of each.
        misses: Where it was not.
    """

    planted: int = 0
    found: int = 0
    names: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)


def overrides(cell: Cell, seeds: Sequence[int], folder: Path) -> list[str]:
    """Return the command line of a cell's sweep."""
    listed = ",".join(map(str, seeds))
    fixed = (f"seed={listed}", "data.split_seed=${seed}", "launcher=in_process", "threads=1", "callbacks=none")
    return [
        *(f"{key}={value}" for key, value in cell.keys),
        *fixed,
        f"output_dir={folder}",
        f"sweep.name={cell.name}",
        "sweep.stale=keep",
    ]


def work(jobs: Sequence[tuple[Cell, Sequence[int]]], folder: Path) -> None:
    """Train cells."""
    warnings.simplefilter("ignore")
    for cell, seeds in jobs:
        try:
            gridstorm.sweep(*overrides(cell, seeds, folder))
        except gridstorm.UserError as refusal:  # a remedy that cannot be trained is none
            sys.stderr.write(f"{cell.name}: {refusal}\n")


def trained(jobs: Sequence[tuple[Cell, Sequence[int]]], folder: Path) -> dict[Cell, dict[int, Curves]]:
    """Train cells with their seeds in two processes, and return the curves of each by seed."""
    os.environ |= {"GRIDSTORM_ALLOW": "bench", "OMP_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(jobs[part::2], folder)) for part in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {cell: dict(of_cell(folder / cell.name)) if (folder / cell.name).is_dir() else {} for cell, _ in jobs}


def of_cell(folder: Path) -> Iterator[tuple[int, Curves]]:
    """Yield the seed and the curves of each run of a cell."""
    for curves in curves_in(folder):
        yield int(curves.facts.keys["seed"]), curves  # type: ignore[call-overload]  # it is a number


def tallied(runs: dict[Cell, dict[int, Curves]], is_counted: Callable[[Cell], bool]) -> dict[str, Tally]:
    """Return what was found, by kind."""
    twins = {cell.world: [*its.values()] for cell, its in runs.items() if cell.name == f"{cell.world}-adam"}
    tallies: dict[str, Tally] = defaultdict(Tally)
    for cell, its in runs.items():
        counts = COUNTS.get(cell.kind, harmed)
        # A healthy run counts where it is as good as its twins, as a planted one does where it is worse.
        counts = (lambda one, others: not harmed(one, others)) if cell.kind == HEALTHY else counts
        for seed, curves in its.items() if is_counted(cell) else ():
            if counts(curves, twins[cell.world]):
                _count(tallies[cell.kind], cell, seed, diagnose(curves))
    return tallies


def _count(tally: Tally, cell: Cell, seed: int, findings: Sequence[Finding]) -> None:
    names = [finding.name for finding in findings]
    tally.planted += 1
    tally.names[names[0]] += 1
    if {cell.kind, *OVERLAPS.get(cell.kind, ())} & {*names}:
        tally.found += 1
    else:
        tally.misses.append(f"{cell.name} seed {seed}: {', '.join(names)}")


def confusion(tallies: dict[str, Tally]) -> str:
    """Return the table: what was planted, how often it was found, and by which names."""
    rows = [
        (kind, str(tally.planted), str(tally.found), ", ".join(f"{name} {count}" for name, count in
                                                              tally.names.most_common(6)))
        for kind, tally in tallies.items()
    ]  # fmt: skip
    return table([("planted", "runs", "found", "the gravest finding"), *rows], right=[1, 2])


Cured = dict[str, tuple[int, int, list[str]]]


def cured(runs: dict[Cell, dict[int, Curves]], is_counted: Callable[[Cell], bool], folder: Path) -> Cured:
    """Train the first remedy of each finding of a planted kind as it is printed; return by kind: tried, cured, misses.

    A run is cured where the finding is gone and the last validation loss better by more than the deviation of healthy
    twins; of waste, where it is no worse by more than two of them.
    """
    twins = {cell.world: [*its.values()] for cell, its in runs.items() if cell.name == f"{cell.world}-adam"}
    wanted: dict[Cell, list[int]] = defaultdict(list)
    before: dict[tuple[Cell, int], Curves] = {}
    for cell, its in runs.items():
        for seed, curves in its.items() if is_counted(cell) and cell.kind != HEALTHY else ():
            found = [one for one in diagnose(curves) if one.name == cell.kind and one.remedies]
            if found and found[0].remedies[0].overrides and COUNTS.get(cell.kind, harmed)(curves, twins[cell.world]):
                given = found[0].remedies[0].overrides
                changes = tuple(text.partition("=")[::2] for text in given)
                name = f"{cell.name}+{'+'.join(given).replace('.', '_')}"
                again = Cell(cell.kind, name, cell.world, changed(dict(cell.keys), dict(changes)), cell.twin)
                wanted[again].append(seed)
                before[again, seed] = curves
    results: Cured = {}
    for cell, its in trained([*wanted.items()], folder).items():
        noise = float(np.std([*map(last, twins[cell.world])]))
        for seed in wanted[cell]:
            curves = before[cell, seed]
            names = [one.name for one in diagnose(its[seed])] if seed in its else []
            room = 2 * noise if cell.kind in WASTE else -noise
            good = seed in its and cell.kind not in names and last(its[seed]) <= last(curves) + room
            tried, healed, misses = results.get(cell.kind, (0, 0, []))
            after = last(its[seed]) if seed in its else np.nan
            miss = f"{cell.name} seed {seed}: {', '.join(names)}, {last(curves):.3g} to {after:.3g}"
            results[cell.kind] = (tried + 1, healed + good, misses if good else [*misses, miss])
    return results


COSTS = {
    "mlp": ["trainer.max_epochs=30"],
    "cnn": ["model=cnn", "trainer.max_epochs=6"],
    "transformer": ["experiment=python_text", "trainer.max_epochs=1", "trainer.limit_train_batches=100"],
    "8 mlps, stacked": ["trainer.max_epochs=30", "seed=0,1,2,3,4,5,6,7", "sweep.fuse=8"],
}


def costs(folder: Path, turns: int = 5) -> str:
    """Return what recording steps and layers costs: the least training time of several turns, with and without."""
    rows: list[tuple[str, ...]] = []
    for name, keys in COSTS.items():
        seconds: dict[bool, float] = {}
        for turn in range(2 * turns):
            records = turn % 2 == 0
            taken = _seconds([*keys, "threads=1", f"output_dir={folder / f'{len(keys)}-{len(rows)}-{turn}'}"], records)
            seconds[records] = min(taken, seconds.get(records, np.inf))
        rows.append(
            (name, f"{seconds[True]:.3f}", f"{seconds[False]:.3f}", f"{seconds[True] / seconds[False] - 1:+.1%}")
        )
    return table([("seconds of training", "recorded", "not", "difference"), *rows], right=[1, 2, 3])


def _seconds(keys: list[str], records: bool) -> float:
    """Train, with or without what is recorded of steps and layers; return the seconds of the slowest run."""
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    with ExitStack() as stack:
        if not records:
            stack.enter_context(patch.object(StepFile, "add", nothing))
            stack.enter_context(patch.object(LayerFile, "is_due", nothing))
        if "sweep.fuse=8" in keys:
            swept = gridstorm.sweep(*keys, "sweep.name=all", "launcher=in_process", "callbacks=none")
            return max(trial.runs[0].result.seconds for trial in swept.trials if trial.runs[0].result)
        result = gridstorm.train(gridstorm.compose(*keys)).result
        return result.seconds if result else np.nan


def speed(runs: dict[Cell, dict[int, Curves]], folder: Path) -> str:
    """Return how long it takes to read and judge runs."""
    names = [cell.name for cell in runs][:: max(1, len(runs) // 50)]
    started = time.perf_counter()
    count = sum(1 for name in names for curves in curves_in(folder / name) if diagnose(curves))
    taken = time.perf_counter() - started
    return f"{count} runs read and diagnosed in {taken:.2f} s: 1,000 in {1000 * taken / count:.2f} s"


def main() -> None:
    """Train, judge, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS[0], help="the first of twenty")
    parser.add_argument("--looked-at", action="store_true", help="the seeds by which rules were set")
    parser.add_argument("--misses", action="store_true", help="list what was not found")
    parser.add_argument("--worlds", nargs="+", help="these alone")
    parser.add_argument("--no-cures", action="store_true", help="do not train the remedies")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    seeds = LOOKED_AT if asked.looked_at else range(asked.seeds, asked.seeds + len(SEEDS))
    started = time.perf_counter()
    wanted = [cell for cell in cells() if not asked.worlds or cell.world in asked.worlds]
    runs = trained([(cell, seeds) for cell in wanted], folder)
    sys.stderr.write(f"trained in {time.perf_counter() - started:.0f} s, in {folder}\n")
    parts = {"worlds that were looked at": lambda cell: cell.world not in (SET_ASIDE, *FILES),
             "the world that was set aside": lambda cell: cell.world == SET_ASIDE,
             "files of one's own": lambda cell: cell.world in FILES}  # fmt: skip
    for title, is_counted in parts.items():
        tallies = tallied(runs, is_counted)
        if tallies and not (asked.looked_at and "aside" in title):
            print(f"{title}, seeds {seeds[0]} to {seeds[-1]}:\n{confusion(tallies)}\n")
            if asked.misses:
                print("\n".join(miss for tally in tallies.values() for miss in tally.misses), "\n")
    print(speed(runs, folder), "\n")
    if not asked.no_cures:
        few = {cell: {seed: its[seed] for seed in seeds[:CURED] if seed in its} for cell, its in runs.items()}
        results = cured(few, lambda cell: cell.world != SET_ASIDE, folder / "cures")
        rows = [(kind, str(tried), str(healed)) for kind, (tried, healed, _) in results.items()]
        print(table([("remedy of", "tried", "cured"), *rows], right=[1, 2]))
        if asked.misses:
            print("\n".join(miss for _, _, misses in results.values() for miss in misses))
    print(costs(Path(tempfile.mkdtemp())))


if __name__ == "__main__":
    main()
