"""Runs and sweeps in a folder: what each is, how good, how old, and what it was for."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gridstorm.config import CONFIG, MANIFEST, brief, is_file, leaves
from gridstorm.error import Problem, UserError
from gridstorm.record import RESULT, RunRecord, Status, is_run, manifest, records

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS = {"today": 0, "yesterday": 1}


@dataclass(frozen=True)
class Entry:
    """A run or a sweep.

    Args:
        directory: Its directory.
        kind: `run` or `sweep`.
        status: What has become of it, in words.
        is_bad: Whether it, or a run of it, failed or diverged.
        monitor: The name of its score.
        mode: Whether a score is better when it is smaller (`min`) or larger (`max`).
        score: The best one; None where there is none.
        health: The gravest finding of its curves, of a sweep of its best run.
        changed: When it was last written, in seconds since 1970.
        note: What it was for.
        tags: Words to find it by.
        choices: What was chosen of each group.
    """

    directory: Path
    kind: str
    status: str
    is_bad: bool
    monitor: str
    mode: str
    score: float | None
    health: str
    changed: float
    note: str = ""
    tags: Sequence[str] = ()
    choices: dict[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        values = {**vars(self), "directory": str(self.directory), "tags": [*self.tags]}
        return {key: value for key, value in values.items() if key != "is_bad"}

    def has(self, key: str, text: str) -> bool:
        """Tell whether a key has a value: a tag, words of the note, a choice, or any key of the configuration."""
        if key == "tags":
            return text in self.tags
        if key == "note":
            return text.lower() in self.note.lower()
        if key in self.choices:
            return self.choices[key] == text
        runs = records(self.directory) if self.kind == "sweep" else [RunRecord(self.directory)]
        return any(brief(value) == text for run in runs for name, value in leaves(run.config.values) if name == key)


def entries(folder: Path) -> list[Entry]:
    """Return the runs and the sweeps in a folder, or the runs of a sweep; the newest first.

    Raises:
        UserError: There is no such folder.
    """
    if not folder.is_dir():
        raise UserError([Problem(str(folder), "There is no such directory.", "Name the output_dir of some runs.")])
    found = [entry for place in sorted(folder.iterdir()) if place.is_dir() and (entry := entry_of(place))]
    return sorted(found, key=lambda entry: -entry.changed)


def entry_of(directory: Path) -> Entry | None:
    """Return what is in a directory; None where it is neither a run nor a sweep."""
    try:
        if is_run(directory):
            return _of_run(RunRecord(directory))
        about = manifest(directory)
        return _of_sweep(directory, about) if "trials" in about else None
    except (UserError, KeyError, TypeError, AttributeError) as error:  # of what someone else wrote, or cut short
        words = error.problems[0].fact if isinstance(error, UserError) else f"Its {MANIFEST} is not as we write it."
        return Entry(directory, "run" if is_run(directory) else "sweep", "damaged", True, "", "min", None, "-",
                     directory.stat().st_mtime, words)  # fmt: skip


def _of_run(record: RunRecord) -> Entry:
    result, origin = record.result, record.origin
    begun = Status.INTERRUPTED if record.begun else Status.WAITING
    status = result.status if result else Status.RUNNING if record.is_held else begun
    health = result.findings[0] if result and result.findings else "-"
    file = record.directory / (RESULT if result else CONFIG)
    monitor, mode = (result.monitor, result.mode) if result else ("", "min")
    return Entry(
        record.directory, "run", str(status), status.is_bad, monitor, mode,
        result.score if result else None, health, file.stat().st_mtime, str(origin.get("note") or ""),
        [*map(str, origin.get("tags") or ())], dict(origin.get("choices") or {}),
    )  # fmt: skip


def _of_sweep(directory: Path, about: dict[str, Any]) -> Entry:
    trials, mode = about["trials"], str(about.get("mode", "min"))
    counts = Counter(str(trial["status"]) for trial in trials)
    good = [one for one in trials if one["score"] is not None and one["status"] == Status.DONE]
    best = min(good, key=lambda one: one["score"] * (1 if mode == "min" else -1), default=None)
    first = next(
        (run["directory"] for trial in [best, *trials] if trial for run in trial["runs"] if run["directory"]), None
    )
    run = entry_of(directory / first) if first and is_file(directory / first / CONFIG) else None
    return Entry(
        directory, "sweep", ", ".join(f"{count} {status}" for status, count in counts.items()) or "empty",
        bool(counts[Status.FAILED] or counts[Status.DIVERGED]), str(about.get("monitor", "")), mode,
        best["score"] if best else None, run.health if run and best else "-", (directory / MANIFEST).stat().st_mtime,
        str(about.get("note") or ""), [*map(str, about.get("tags") or ())], run.choices if run else {},
    )  # fmt: skip


def moment(text: str, now: datetime | None = None) -> float:
    """Return what `today`, `yesterday`, `3h`, `2d`, `1w` or `2026-11-01` means, in seconds since 1970.

    Raises:
        UserError: It is none of these.
    """
    now = now or datetime.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in DAYS:
        return (midnight - timedelta(days=DAYS[text])).timestamp()
    if match := re.fullmatch(r"(\d+)([mhdw])", text):
        return (now - timedelta(**{UNITS[match[2]]: int(match[1])})).timestamp()
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        fact, remedy = "It is no time.", "Give today, yesterday, 3h, 2d, 1w, or a date such as 2026-11-01."
        raise UserError([Problem(f"--since {text}", fact, remedy)]) from error


def age(changed: float) -> str:
    """Return how long ago something was, in words."""
    seconds = max(0.0, time.time() - changed)
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def matching(found: Sequence[Entry], words: Sequence[str]) -> Iterator[Entry]:
    """Yield the entries of which `key=value` is so for all words.

    Raises:
        UserError: A word has no `=`.
    """
    pairs = [(word.partition("=")[0].strip(), word.partition("=")[2].strip("[]")) for word in words]
    if odd := [word for word in words if "=" not in word]:
        raise UserError([Problem(odd[0], "It is no filter.", "Write KEY=VALUE, such as model=cnn or tags=baseline.")])
    yield from (entry for entry in found if all(entry.has(key, text) for key, text in pairs))
