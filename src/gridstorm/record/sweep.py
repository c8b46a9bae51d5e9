"""What the directory of a sweep says: its runs, matched by signature, and the manifest that other tools read."""

import json
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from gridstorm.config import CONFIG, LONGEST, MANIFEST, RunConfig, component
from gridstorm.error import Problem, UserError
from gridstorm.record.file import (
    FORMAT,
    LOCK,
    OF_SWEEPS,
    ORIGIN,
    TEMPORARY,
    TRIAL,
    clear,
    hold,
    misfits,
    refuse_unknown_format,
    unreadable,
    write_whole,
)
from gridstorm.record.result import Result, Status
from gridstorm.record.run import RunRecord
from gridstorm.record.trial import Trial, TrialRun
from gridstorm.target import command

NEWEST = 200  # runs of a folder that are looked at
NAMES = ("name", "output_dir", "explain", "threads")  # keys that change nothing of what is trained
TOLD = ("number", "name", "seed", "values", "ask", "attrs")  # what a run's origin.json says of its trial


@dataclass(frozen=True)
class KnownRun:
    """A run that stands in the directory.

    Args:
        record: Its directory.
        signature: Of its recipe.
        trial: What its trial is: number, name, seed, values, ask, attrs.
        result: What came out, None while it is not over.
        format: Of its record.
    """

    record: RunRecord
    signature: str
    trial: dict[str, Any]
    result: Result | None
    format: int = FORMAT


class SweepRecord:
    """The runs of a sweep's directory, which is held against every other sweep until `close`."""

    def __init__(self, directory: Path, monitor: str, mode: str) -> None:
        """Read and hold the directory, which is made if it is missing.

        Raises:
            UserError: It is not a sweep's, another sweep works in it, or its scores are of another metric.
        """
        self.directory, self.monitor, self.mode = directory, monitor, mode
        self.aside: list[str] = []  # in words, the runs that are damaged or not what was planned
        try:
            refuse_what_is_no_sweep(directory)
            refuse_folders(directory)
            directory.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] | None = hold(directory / LOCK, seconds=1.0)
        except OSError as error:
            fact = f"The directory cannot be written ({error.strerror})."
            raise UserError([Problem(str(directory), fact, "Give another output_dir.")]) from error
        if self._lock is None:
            fact = "Another sweep is at work in this directory."
            raise UserError([Problem(str(directory), fact, "Wait until it is over, or give another sweep.name.")])
        try:
            clear_all(directory)
            if not (directory / MANIFEST).exists():
                write_manifest(directory, [], {})  # the mark of a sweep's directory
            self.known = read(directory, self.aside)
            self._refuse_other_scores()
        except UserError:
            self.close()
            raise

    def _refuse_other_scores(self) -> None:
        results = [known.result for known in self.known if known.result]
        other = next((result for result in results if (result.monitor, result.mode) != (self.monitor, self.mode)), None)
        if other:
            fact = f"The runs in {self.directory} are compared by {other.monitor} ({other.mode})."
            text = f"monitor={self.monitor} mode={self.mode}"
            raise UserError([Problem(text, fact, "Keep that metric, or give another sweep.name.")])

    def close(self) -> None:
        """Release the lock."""
        if self._lock:
            self._lock.close()

    def adopt(self, trials: Sequence[Trial], stale: Callable[[RunConfig, KnownRun], bool] = lambda *_: False) -> None:
        """Give the runs of these trials the directories that stand for them, and their trials the numbers of these.

        Args:
            trials: What is planned.
            stale: Tells which directories do not count.
        """
        standing: dict[str, list[KnownRun]] = {}
        for candidate in sorted(
            self.known, key=lambda candidate: (not candidate.result, -int(candidate.trial["number"]))
        ):
            standing.setdefault(candidate.signature, []).append(candidate)
        for trial in trials:
            for run in trial.runs:
                usable = (
                    candidate for candidate in standing.get(run.config.signature, ()) if self._is_usable(candidate, run)
                )
                match = next(usable, None)
                if match and not stale(run.config, match):
                    run.record, run.result = match.record, match.result
                    trial.number = int(match.trial["number"])

    def _is_usable(self, candidate: KnownRun, run: TrialRun) -> bool:
        """Tell whether what would be trained in a directory is what was planned; of what is done only results count."""
        if candidate.result and candidate.result.status == Status.DONE:
            return True
        try:
            config, wrong = candidate.record.checked_config, misfits(candidate.record.directory)
            candidate.record.environment  # noqa: B018  # what is damaged there would be met only when the run goes on
        except UserError as refusal:
            self.aside.append(_aside(candidate.record, refusal))
            return False
        if wrong or config.signature != run.config.signature:
            reasons = [f"{name} {reason}" for name, reason in wrong.items()]
            self.aside.append(
                f"{candidate.record.directory}: {(reasons or ['its config.yaml is not what was planned'])[0]}"
            )
        return not wrong and config.signature == run.config.signature

    def number(self, trials: Sequence[Trial]) -> None:
        """Number the trials that have no number, in their order, with numbers that no directory has."""
        taken = {int(known.trial["number"]) for known in self.known} | {trial.number for trial in trials}
        free = (number for number in count(1) if number not in taken)
        for trial in trials:
            trial.number = trial.number or next(free)


def refuse_what_is_no_sweep(directory: Path) -> None:
    """Refuse a directory that holds something else than a sweep, which has `sweep.json` in it or a run of one.

    Raises:
        UserError: It does, or a later Gridstorm made the sweep.
    """
    if not directory.is_dir():
        return
    content = manifest(directory)
    refuse_unknown_format(directory / MANIFEST, content)
    others = [file.name for file in directory.iterdir() if file.name != LOCK and not file.name.startswith(TEMPORARY)]
    if others and "trials" not in content and not read(directory):
        fact = f"The directory is no sweep's, and holds other things, such as {min(others)}."
        raise UserError([Problem(str(directory), fact, "Give another sweep.name or output_dir.")])


def refuse_folders(directory: Path) -> None:
    """Refuse a sweep's directory in which a folder, or a link, stands where a file is to be written.

    Raises:
        UserError: There is one.
    """
    names = [name for name in OF_SWEEPS if (directory / name).is_dir() or (directory / name).is_symlink()]
    if names:
        fact, remedy = "It is no file, and the sweep writes one of this name.", "Move it to another place."
        raise UserError([Problem(str(directory / name), fact, remedy) for name in names])


def manifest(directory: Path) -> dict[str, Any]:
    """Return what a sweep's sweep.json holds; nothing where there is none, or none that is ours."""
    try:
        content = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def clear_all(directory: Path) -> None:
    """Remove what a sweep that was killed left half made; only who holds the directory may do so."""
    clear(directory)
    for left in directory.glob(f"{TRIAL}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)


def records(parent: Path) -> list[RunRecord]:
    """Return the runs in a folder, by name."""
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return [RunRecord(parent / name) for name in names if (parent / name / CONFIG).is_file()]


def latest(parent: Path, config: RunConfig, but: Path | None = None) -> RunRecord | None:
    """Return the last run in a folder that was asked for by the same overrides as a configuration; None without one.

    Args:
        parent: The folder, of which the newest runs are looked at.
        config: The configuration; what names its directory does not matter.
        but: A directory that does not count.
    """
    found = sorted(records(parent), key=lambda record: -(record.directory / CONFIG).stat().st_mtime)
    for record in (record for record in found[:NEWEST] if record.directory != but):
        with suppress(UserError):  # a damaged one says nothing
            if _asked(record.config) == _asked(config):
                return record
    return None


def _asked(config: RunConfig) -> list[str]:
    return sorted(text for text in config.overrides if text.partition("=")[0] not in NAMES)


def read(directory: Path, aside: list[str] | None = None) -> list[KnownRun]:
    """Return the runs of a sweep's directory, by name; those that are damaged are told in words to `aside`."""
    runs = []
    for record in records(directory):
        try:
            if run := _known(record):
                runs.append(run)
        except UserError as refusal:
            if aside is not None:
                aside.append(_aside(record, refusal))
    return runs


def trials_in(directory: Path) -> list[Trial]:
    """Return the trials of a sweep's directory with their runs, by number; those that have none yet are not there.

    Raises:
        UserError: It is no sweep's, or one of its records is damaged.
    """
    if "trials" not in manifest(directory):
        raise UserError([Problem(str(directory), "There is no sweep in this directory.", "Name that of a sweep.")])
    aside: list[str] = []
    runs, trials = read(directory, aside), dict[int, Trial]()
    if aside:
        raise UserError([Problem(str(directory), f"A record is damaged ({aside[0]}).", "Restore it, or remove it.")])
    for known in runs:
        told = known.trial
        own = Trial(dict(told["values"]), [], told["number"], told["ask"], told["attrs"])
        run = TrialRun(known.record.config, int(told["seed"]), known.record, result=known.result)
        trials.setdefault(own.number, own).runs.append(run)
    return [trials[number] for number in sorted(trials)]


def _known(record: RunRecord) -> KnownRun | None:
    """Return a run that a sweep made, None for any other; a UserError says that its record is damaged."""
    origin, result = record.origin, record.result
    trial, made = origin.get("trial"), origin.get("format", 0)
    if trial is None:
        return None
    if not (isinstance(trial, dict) and trial.keys() >= {*TOLD}):
        raise unreadable(record.directory / ORIGIN, "something is missing in it")
    kinds = {"number": int, "seed": int, "values": dict}
    if odd := [name for name, kind in kinds.items() if not isinstance(trial[name], kind)]:
        raise unreadable(record.directory / ORIGIN, f"the {odd[0]} of its trial is none")
    # Before there were formats, signatures left out callbacks and devices: what they would be now is in the recipe.
    signature = origin["signature"] if made and "signature" in origin else record.checked_config.signature
    return KnownRun(record, signature, trial, result, made)


def _aside(record: RunRecord, refusal: UserError) -> str:
    [problem, *_] = refusal.problems
    reason = problem.fact[:1].lower() + problem.fact[1:].rstrip(".")
    return f"{record.directory}: {Path(problem.key).name}: {reason}"


def create(directory: Path, trial: Trial, run: TrialRun, width: int) -> RunRecord:
    """Make a run's directory: `07-cnn,lr=0.01`, with `,s=1` where a trial has several seeds."""
    name = component(f"{trial.number:0{width}}-{trial.label}", LONGEST - len(f",s={run.seed}"))
    about: dict[str, Any] = {
        "number": trial.number,
        "name": name,
        "seed": run.seed,
        "values": trial.point,
        "ask": trial.ask,
        "attrs": trial.attrs,
    }
    own = f"{name},s={run.seed}" if len(trial.runs) > 1 else name
    return RunRecord.create(directory, own, run.config, command(shlex.join(run.config.overrides)), about)


def state(trials: Sequence[Trial], total: int) -> str:
    """Return `64 runs: 41 done, 2 interrupted, 1 failed (out of memory), 20 to go`, counted in runs."""
    counts = Counter(run.status for trial in trials for run in trial.runs)
    errors = Counter(
        str(run.result.error or "").partition(":")[0]
        for trial in trials
        for run in trial.runs
        if run.result and run.status == Status.FAILED
    )
    parts = [
        f"{counts[status]} {status}" + (f" ({', '.join(errors)})" if status == Status.FAILED else "")
        for status in (Status.DONE, Status.PRUNED, Status.INTERRUPTED, Status.DIVERGED, Status.FAILED)
        if counts[status]
    ]
    waiting = total - sum(counts.values()) + counts[Status.WAITING] + counts[Status.RUNNING]
    return f"{total} runs: {', '.join([*parts, f'{waiting} to go'])}"


def write_manifest(directory: Path, trials: Sequence[Trial], about: Mapping[str, Any]) -> None:
    """Write sweep.json, whole or not at all: a view of the directories for other tools.

    A trial and a run have one of the states waiting, running, interrupted, done, pruned, diverged, failed; what is
    running counts as interrupted where no process holds the sweep's `.lock`.
    """
    rows = [
        {
            "number": trial.number,
            "signature": trial.signature,
            "values": trial.values,
            "status": trial.status,
            "score": trial.score,
            "runs": [
                {
                    "directory": run.record.directory.name if run.record else None,
                    "signature": run.config.signature,
                    "seed": run.seed,
                    "status": run.status,
                    "score": run.score,
                }
                for run in trial.runs
            ],
        }
        for trial in trials
    ]
    write_whole(directory / MANIFEST, json.dumps({"format": FORMAT, **about, "trials": rows}, indent=1))


def to_go(run: TrialRun, pruning: bool) -> bool:
    """Tell whether a run is to be trained in this call: all but what is done, or cut short by a sweep that prunes."""
    return run.status != Status.DONE and not (run.status == Status.PRUNED and pruning)


def reopen(run: TrialRun) -> None:
    """Make a run that ended badly, or was cut short, ready to go on; one that diverged starts anew."""
    if run.record and run.result:
        run.record.reopen(anew=run.status == Status.DIVERGED)
        run.result = None


def ended_badly(trials: Sequence[Trial]) -> int:
    """Return how many runs diverged or failed."""
    return sum(run.status.is_bad for trial in trials for run in trial.runs)
