"""`gridstorm ls`: all runs and sweeps of a folder with score, health, age and note."""

import json
from collections.abc import Sequence
from pathlib import Path

from gridstorm.archive.entry import Entry, age, entries, matching, moment
from gridstorm.config import number
from gridstorm.error import Problem, UserError
from gridstorm.report import table

HEADER = ("", "name", "status", "score", "of", "health", "age", "tags", "note")


def listed(
    folder: Path, words: Sequence[str] = (), best: bool = False, failed: bool = False, since: str | None = None,
    as_json: bool = False,
) -> str:  # fmt: skip
    """Return a table of what is in a folder.

    Args:
        folder: With runs and sweeps, or a sweep, whose runs are listed.
        words: Filters, `key=value`.
        best: Whether only those with a score are wanted, the best first.
        failed: Whether only those that failed or diverged are wanted.
        since: From when on.
        as_json: Whether it is for other tools.

    Raises:
        UserError: There is no such folder, or a filter is none.
    """
    found = [*matching(entries(folder), words)]
    if since is not None:
        start = moment(since)
        found = [entry for entry in found if entry.changed >= start]
    if failed:
        found = [entry for entry in found if entry.is_bad]
    if best:
        found = _ranked(found)
    if as_json:
        return json.dumps([entry.content() for entry in found])
    if not found:
        return (
            f"Nothing in {folder} is so." if words or best or failed or since else f"Nothing was trained in {folder}."
        )
    rows = [
        (entry.kind, entry.directory.name, entry.status, number(entry.score), entry.monitor or "-", entry.health,
         age(entry.changed), " ".join(entry.tags) or "-", entry.note or "-")
        for entry in found
    ]  # fmt: skip
    return table([HEADER, *rows])


def _ranked(found: Sequence[Entry]) -> list[Entry]:
    """Return the entries with a score, the best first; they must be of one metric."""
    scored = [entry for entry in found if entry.score is not None]
    metrics = {(entry.monitor, entry.mode) for entry in scored}
    if len(metrics) > 1:
        named = ", ".join(sorted(monitor for monitor, _ in metrics))
        fact = f"There are scores of several metrics: {named}."
        raise UserError([Problem("--best", fact, "Choose those of one, such as with data=NAME.")])
    sign = -1 if any(mode == "max" for _, mode in metrics) else 1
    return sorted(scored, key=lambda entry: sign * (entry.score or 0.0))
