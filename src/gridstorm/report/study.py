"""`gridstorm report`: what sweeps have shown, in the terminal and as a page."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridstorm.answer import Answer, Study, content, early
from gridstorm.error import Problem, UserError
from gridstorm.record import PAGE, Trial, manifest, trials_in, write_whole
from gridstorm.report.html import Page
from gridstorm.report.leaderboard import leaderboard

OUTSIDE = ("seed", "output_dir", "name", "sweep", "note", "tags", "launcher", "sampler", "pruner", "threads")


def answer_of(directories: Sequence[Path]) -> tuple[Answer, list[Trial]]:
    """Return what one sweep has shown, or several together, and their trials.

    Raises:
        UserError: There is no sweep in a directory, or their scores are not of the same metric.
    """
    trials = [trial for directory in directories for trial in trials_in(directory)]
    about = [manifest(directory) for directory in directories]
    scores = {(str(one.get("monitor", "val/loss")), str(one.get("mode", "min"))) for one in about}
    if len(scores) > 1:
        named = " and ".join(sorted(f"{monitor} ({mode})" for monitor, mode in scores))
        fact = f"Their scores are of different metrics: {named}."
        raise UserError([Problem(" ".join(map(str, directories)), fact, "Report on each alone.")])
    [(monitor, mode)] = scores
    place = str(directories[0])
    return Answer(Study.of(trials, monitor, mode, _together(about)), place), trials


def _together(about: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is so of all sweeps: the sampler where it is the same, the command of the first."""
    samplers = {one.get("sampler") for one in about}
    return {**about[0], "sampler": samplers.pop() if len(samplers) == 1 else "several"}


def told(answer: Answer) -> str:
    """Return an answer in sentences, with the next command."""
    lines = [*answer.sentences(), "", f"next    {answer.next.why}", f"        {answer.next.command}"]
    return "\n".join(lines)


def write_report(directories: Sequence[Path], out: Path | None = None, as_json: bool = False) -> str:
    """Write the page, and return what the terminal shows.

    Args:
        directories: Of the sweeps.
        out: The file; otherwise `report.html` in the directory of a single sweep, and here for several.
        as_json: Whether only the answer is wanted, for other tools; then nothing is written.

    Raises:
        UserError: There is no sweep, or the file cannot be written.
    """
    answer, trials = answer_of(directories)
    if as_json:
        return json.dumps(content(answer))
    file = out or (directories[0] if len(directories) == 1 else Path()) / PAGE
    name = ", ".join(directory.resolve().name for directory in directories)
    page = str(Page(answer, name, differing(trials)))
    try:
        write_whole(file, page)
    except OSError as error:
        fact = f"It cannot be written ({error.strerror or error})."
        raise UserError([Problem(str(file), fact, "Name another place with --out FILE.")]) from error
    study = answer.study
    parts = [told(answer), *([leaderboard(trials, study.monitor, study.mode)] if trials else [])]
    if found := early(study):
        words = [f"after epoch {epoch} of {last}: {one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
                 for epoch, last, one in found]  # fmt: skip
        parts.append("Rank correlation of the scores with those at the end: " + "; ".join(words) + ".")
    return "\n\n".join([*parts, f"report  {shlex.quote(str(file))}"])


def differing(trials: Sequence[Trial]) -> dict[str, str]:
    """Return what was set in all runs, by key, without what was swept and what changes no number."""
    asked = [{*trial.runs[0].config.overrides} for trial in trials]
    common = sorted(set.intersection(*asked)) if asked else []
    pairs = (text.lstrip("+").partition("=")[::2] for text in common if "=" in text)
    return {key: value for key, value in pairs if key.partition(".")[0] not in OUTSIDE}
