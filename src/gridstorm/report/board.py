"""The page of a sweep on TensorBoard: its leaderboard, with a link from each trial to its own curves."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from gridstorm.config import number
from gridstorm.record import Trial
from gridstorm.report.leaderboard import COLUMNS, best, causes, cells, name, swept, tried

if TYPE_CHECKING:
    from gridstorm.answer import Answer
    from gridstorm.record import EventFile

PICTURES = 8  # of keys
PAGES = ("custom_scalars", "text")  # which open empty beside more than 40 runs, if nothing says which


def write_board(
    directory: Path, trials: Sequence[Trial], monitor: str, mode: str, answer: "Answer | None" = None
) -> None:
    """Write the page anew: an event file in the sweep's directory, in place of the one before.

    With an answer its sentences are a text of their own, and what each key does is a picture.

    Args:
        directory: That of the sweep.
        trials: Its trials.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
    """
    from gridstorm.record import EventFile, written_by_us

    before = written_by_us(directory)
    with EventFile(directory) as file:
        file.text("leaderboard", page(directory.resolve().name, trials, monitor, mode))
        if answer and answer.best:
            lines = [*map(_plain, answer.in_short()), f"Next: {_plain(answer.next.why)} `{answer.next.command}`"]
            file.text("answer", "\n\n".join(lines))
            _draw(file, answer)
    for old in before:
        old.unlink(missing_ok=True)


def _draw(file: "EventFile", answer: "Answer") -> None:
    """Write what each key does as pictures."""
    from gridstorm.report.panel import Panels
    from gridstorm.report.picture import isolation

    panels = Panels(answer)
    for key in answer.study.keys[:PICTURES]:
        file.image(f"by/{key.name}", isolation(panels.marks(key)))


def address(directory: Path) -> str:
    """Return where the page is, on a TensorBoard that looks at the folder around the sweep's directory."""
    return f"http://localhost:6006/#text&regexInput={quote(f'(^|/){re.escape(directory.resolve().name)}$', '')}"


def page(sweep: str, trials: Sequence[Trial], monitor: str, mode: str) -> str:
    """Return the leaderboard in Markdown.

    Args:
        sweep: The name of the sweep's directory.
        trials: Its trials.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
    """
    from gridstorm.record import markdown

    counts, winner, keys = Counter(trial.status for trial in trials), best(trials, mode), swept(trials)
    answer = f" Best {monitor} {number(winner.score)}: {name(winner)}." if winner else " None has a score."
    summary = f"{len(trials)} trials: {', '.join(f'{count} {status}' for status, count in counts.items())}.{answer}"
    rows = [
        (str(place), *map(_plain, cells(trial, keys)), _links(sweep, trial, monitor))
        for place, trial in enumerate(tried(trials, mode), 1)
    ]
    header = ("", *map(_plain, (*keys, monitor, *COLUMNS)), "look at")
    lines = [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]
    shown = ["\n".join(lines)] if rows else []
    failures = [markdown(words)] if (words := causes(trials)) else []
    return "\n\n".join([f"# {_plain(sweep)}", _plain(summary), *shown, *failures])


def _plain(text: str) -> str:
    """Return a text in which Markdown finds nothing to be formatted."""
    return "".join(letter if letter.isalnum() or letter in " .,:=" else f"&#{ord(letter)};" for letter in text)


def _links(sweep: str, trial: Trial, monitor: str) -> str:
    """Return links to the pages of TensorBoard that show a trial's runs and no others.

    Its older pages read `#PAGE&regexInput=`.
    """
    shown = pattern(sweep, [run.record.directory.name for run in trial.runs if run.record])
    links = [f"[curves]({time_series(monitor, shown)})"]
    links += [f"[{kind.replace('_', ' ')}](#{kind}&regexInput={quote(shown, '')})" for kind in PAGES]
    return " ".join([_plain(name(trial)), *links])


def time_series(monitor: str, runs: str | None = None, color: str | None = None) -> str:
    """Return the part of an address that opens TensorBoard's time series: the score and the loss pinned, not smoothed.

    The names of the parameters are those of TensorBoard 2.21.

    Args:
        monitor: The name of the score.
        runs: A regular expression of the runs that are shown; otherwise all are.
        color: One whose group gives runs the same color.
    """
    tags = dict.fromkeys((monitor, "train/loss"))
    told = {"pinnedCards": json.dumps([{"plugin": "scalars", "tag": tag} for tag in tags]), "smoothing": "0",
            "runFilter": runs, "runColorGroup": color and f"regex:{color}"}  # fmt: skip
    words = "&".join(f"{name}={quote(value, '')}" for name, value in told.items() if value)
    return f"?{words}#timeseries"


def pattern(sweep: str, names: Sequence[str]) -> str:
    """Return a regular expression of the runs with these names, whether TensorBoard looks at the sweep or above it."""
    return f"(^|(^|/){re.escape(sweep)}/)({'|'.join(map(re.escape, names))})$"
