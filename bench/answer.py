"""How often what a report says of a sweep is so, on made-up sweeps whose truth is known.

    python -m bench.answer [--sweeps 200] [--kinds grid random tpe]

For each kind: how often the truly best setting is in the tie and how large that is, how often the interval holds the
true score, how often the keys that may be first hold the one that is, and how often "still getting better" is so.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stand_in"))
from gridstorm.answer import Contest
from gridstorm.answer.influence import edges, importance
from gridstorm.report import table
from world import simulated

WORLDS: dict[str, dict[str, object]] = {
    "plain": {}, "a category": {"names": True}, "a tenth fails": {"failing": 0.1}, "mode=max": {"mode": "max"},
}  # fmt: skip


@dataclass
class Counts:
    """What came out of one made-up sweep."""

    tied: bool
    size: int
    covered: bool
    first: bool
    single: bool
    right: bool
    level: float
    claims: list[tuple[bool, bool]] = field(default_factory=list)  # said and so, of each key


def of_sweep(given: tuple[str, int, dict[str, object]]) -> Counts:
    """Judge one made-up sweep."""
    kind, seed, options = given
    made = simulated(kind, seed, **options)  # type: ignore[arg-type]
    contest = Contest(made.study)
    best = int(made.losses.argmin())
    tie = contest.tie or []
    low, high = contest.interval or (0.0, 0.0)
    found, first = importance(contest), made.world.first
    names = [f"k{key}" for key in range(made.world.keys)] + ["name"]
    said = {edge.key.name: edge.is_top for edge in edges(contest) if edge.is_falling}
    claims = [(f"k{key}" in said and said[f"k{key}"] == (side > 0) and side != 0, f"k{key}" in said, side != 0)
              for key, side in enumerate(made.world.edge)]  # fmt: skip
    assert found
    return Counts(
        made.study.compared[best] in tie, len(tie), low <= made.losses[0] <= high, names[first] in found.first,
        len(found.first) == 1, found.first[0] == names[first], made.world.level, claims,  # type: ignore[arg-type]
    )  # fmt: skip


def share(values: Sequence[bool]) -> str:
    """Return how many are true, in percent."""
    return f"{100 * np.mean(values):.1f}" if values else "-"


def row(name: str, found: Sequence[Counts]) -> tuple[str, ...]:
    """Return a line of the table."""
    single = [one.right for one in found if one.single]
    claims = [claim for one in found for claim in one.claims]
    said = [claim[0] for claim in claims if claim[1]]
    so = [claim[0] for claim in claims if claim[2]]  # type: ignore[misc]
    by_level = "/".join(
        share([one.tied for one in found if one.level == level]) for level in sorted({o.level for o in found})
    )
    return (name, str(len(found)), f"{share([o.tied for o in found])} ({by_level})",
            f"{np.mean([o.size for o in found]):.1f}", share([o.covered for o in found]),
            share([o.first for o in found]), f"{share(single)} of {len(single)}", f"{share(said)} of {len(said)}",
            share(so))  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=["grid", "random", "tpe"])
    parser.add_argument("--worlds", nargs="+", default=[*WORLDS])
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    header = (
        "sweeps",
        "n",
        "best is in the tie",
        "size",
        "interval",
        "first key in set",
        "named alone",
        "edge: so",
        "found",
    )
    rows = []
    with multiprocessing.Pool(asked.processes) as pool:
        for kind in asked.kinds:
            for name in asked.worlds:
                started = time.perf_counter()
                found = pool.map(of_sweep, [(kind, seed, WORLDS[name]) for seed in range(asked.sweeps)], chunksize=5)
                rows.append(row(f"{kind}, {name}", found))
                sys.stderr.write(f"{rows[-1]} in {time.perf_counter() - started:.0f} s\n")
    print(table([header, *rows], right=[*range(1, len(header))]))


if __name__ == "__main__":
    main()
