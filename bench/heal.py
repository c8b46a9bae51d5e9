"""How often heal=true brings a run that was planted ill to where its healthy twins end.

    python -m bench.heal [--seeds 3] [--worlds digits moons ...] [FOLDER]

What is planted are those of `bench.plants` that a hyperparameter mends and that did harm: as in `bench.diagnosis`, the
last validation loss is above that of ten healthy twins by more than two of their standard deviations. A run is healed
where that no longer holds. Where a remedy is told that has no command line, nothing is healed, and it counts as missed.
The twin of a deep network is the same one with the weights that it should begin with, not the flat one of its world.
"""

import argparse
import io
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

import gridstorm
from bench.diagnosis import COUNTS, harmed, trained
from bench.plants import DEEP, PLANTS, WORLDS, Cell, cells
from gridstorm.diagnosis import of_record
from gridstorm.diagnosis.curves import Curves
from gridstorm.record import RunRecord
from gridstorm.report import table
from gridstorm.run import run
from gridstorm.run.heal import CURABLE

SEEDS = range(500, 510)
Found = tuple[Cell, int, list[Path]]  # the directories of an ill run and of those with its remedies


def is_curable(cell: Cell) -> bool:
    """Tell whether a hyperparameter can mend what is planted; of labels that are shuffled none can."""
    return cell.kind in CURABLE and not {"data.labels", "data.order"} & dict(cell.keys).keys()


def twin_of(cell: Cell) -> Cell:
    """Return the healthy twin of a planted cell: its world, with the same network where that is a deep one."""
    keys, planted = dict(cell.twin), dict(cell.keys)
    if planted["model"] != DEEP["model"]:
        return Cell("healthy", f"{cell.world}-twin", cell.world, cell.twin, cell.twin)
    depth = planted.get("model.depth", "as it is")
    own = tuple({key: value for key, value in planted.items() if key in keys or key == "model.depth"}.items())
    return Cell("healthy", f"{cell.world}-deep-{depth}", cell.world, own, own)


def healed(job: tuple[Cell, int, Path]) -> Found:
    """Train an ill run and those with its remedies, one after the other in this process."""
    cell, seed, folder = job
    warnings.simplefilter("ignore")
    sys.argv = ["train.py"]
    keys = {**dict(cell.keys), "seed": seed, "data.split_seed": seed, "threads": 1}
    words = [*(f"{key}={value}" for key, value in keys.items()), f"output_dir={folder}", f"name={cell.name}-{seed}"]
    told: list[list[str]] = [[*words, "heal=true", "~callbacks.progress_bar"]]
    found: list[Path] = []
    while len(found) < len(told):
        hands_on = (patch("gridstorm.run.heal._become", told.append), patch("gridstorm.run.heal._door", list))
        with hands_on[0], hands_on[1], redirect_stdout(io.StringIO()):
            try:
                record = run(gridstorm.compose(*told[-1]))
            except gridstorm.UserError as refusal:
                sys.stderr.write(f"{cell.name} seed {seed}: {refusal}\n")
                break
        found += [record.directory] if record else []
    return cell, seed, found


def curves_of(directory: Path) -> Curves:
    """Return the curves of a run."""
    record = RunRecord(directory)
    curves = of_record(record, record.result)
    assert curves is not None, directory
    return curves


def row(kind: str, some: Sequence[tuple[bool, int, str]]) -> tuple[str, ...]:
    """Return a line of the table: of the ill runs of a kind, how many were healed, and with how many remedies."""
    good = sum(one for one, _, _ in some)
    times = [count for one, count, _ in some if one]
    return kind, str(len(some)), str(good), f"{good / len(some):.0%}", " ".join(map(str, sorted(set(times))))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="which of the twins' seeds is the first one")
    parser.add_argument("--worlds", nargs="+", default=[*WORLDS])
    parser.add_argument("--kinds", nargs="+", default=[*PLANTS])
    parser.add_argument("--misses", action="store_true", help="list what was not healed")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    os.environ |= {"GRIDSTORM_ALLOW": "bench", "OMP_NUM_THREADS": "1"}
    some = [cell for cell in cells() if cell.world in asked.worlds]
    ill = [cell for cell in some if cell.kind in asked.kinds and is_curable(cell)]
    theirs = trained([(cell, SEEDS) for cell in {twin_of(cell).name: twin_of(cell) for cell in ill}.values()], folder)
    twins = {cell.name: [*its.values()] for cell, its in theirs.items()}
    jobs = [(cell, seed, folder) for cell in ill for seed in SEEDS[asked.first :][: asked.seeds]]
    by_kind: dict[str, list[tuple[bool, int, str]]] = defaultdict(list)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for cell, seed, found in pool.imap_unordered(healed, jobs):
            before, after, healthy = curves_of(found[0]), curves_of(found[-1]), twins[twin_of(cell).name]
            if COUNTS.get(cell.kind, harmed)(before, healthy):
                names = " ".join((RunRecord(found[-1]).result or RunRecord(found[0]).result).findings)  # type: ignore[union-attr]
                words = f"{cell.name} seed {seed}: {names}, after {len(found) - 1} remedies"
                by_kind[cell.kind].append((not harmed(after, healthy), len(found) - 1, words))
    rows = [row(kind, ones) for kind, ones in sorted(by_kind.items())]
    rows.append(row("all", [one for ones in by_kind.values() for one in ones]))
    print(table([("planted", "did harm", "healed", "share", "remedies"), *rows], right=[1, 2, 3]))
    if asked.misses:
        print("\n".join(words for ones in by_kind.values() for good, _, words in ones if not good))


if __name__ == "__main__":
    main()
