"""A sweep in words: its trials as a table sorted by score, and what went wrong in it, with a remedy."""

import re
from collections import Counter
from collections.abc import Sequence

from gridstorm.config import brief, number
from gridstorm.record import ERROR, OUTPUT, Result, Status, Trial, TrialRun, ranked
from gridstorm.report.table import table

DIVERGED = "the loss became NaN or infinite"

# What to do about a cause, by the words in it; the last one holds for any exception.
REMEDIES = {
    DIVERGED: "Try a smaller learning rate, or trainer.gradient_clip_val=1.",
    "^timeout:": "Give it more time with sweep.timeout, or train less with trainer.max_epochs.",
    "memory": "Give it more memory: a smaller launcher.places, or a smaller data.batch_size.",
    "^died:": f"Look into {{directory}}/{OUTPUT} for what it printed last.",
    "": f"Look into {{directory}}/{ERROR}.",
}
COLUMNS = ("epoch", "seconds", "status", "health")
FEW = 3  # names of runs, or of trials, that are listed


def swept(trials: Sequence[Trial]) -> list[str]:
    """Return the keys that vary in a sweep, in the order of their axes."""
    return [*dict.fromkeys(key for trial in trials for key in trial.point)]


def tried(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """Return the trials of which there is anything to tell, best score first."""
    return [trial for trial in ranked(trials, mode) if any(run.result for run in trial.runs)]


def best(trials: Sequence[Trial], mode: str) -> Trial | None:
    """Return the trial with the best score of those that did not fail or diverge, None where there is none."""
    good = [trial for trial in trials if trial.score is not None and trial.runs[0].result and not trial.status.is_bad]
    return next(iter(ranked(good, mode)), None)


def leaderboard(trials: Sequence[Trial], monitor: str, mode: str) -> str:
    """Return the trials as a table, best score first; of the keys only those that vary.

    Args:
        trials: Those of a sweep; of one without any result nothing is told.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
    """
    differing = tried(trials, mode)
    if not differing:
        return "No trial has ended."
    keys = swept(trials)
    rows = [(str(place), *cells(trial, keys), name(trial)) for place, trial in enumerate(differing, 1)]
    return table([("", *keys, monitor, *COLUMNS, "run"), *rows])


def cells(trial: Trial, keys: Sequence[str]) -> tuple[str, ...]:
    """Return a trial's row: its values, its score with a 95 % interval, and `COLUMNS`."""
    values = [brief(trial.values[key]) if key in trial.values else "-" for key in keys]
    score = number(trial.score) + (f" ± {trial.interval:.2g}" if trial.interval is not None else "")
    results = [run.result for run in trial.runs if run.result]
    epochs = sorted({result.best_epoch for result in results if result.best_epoch is not None})
    epoch = "-" if not epochs else str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    seconds = [result.seconds for result in results]
    return (*values, score, epoch, number(sum(seconds)) if seconds else "-", trial.status, health(trial))


def health(trial: Trial) -> str:
    """Return what the curves of a trial's runs say: the gravest finding, in how many of the runs; a dash for none."""
    results = [run.result for run in trial.runs if run.result and run.result.findings]
    if not results:
        return "-"
    [(gravest, count)] = Counter(result.findings[0] for result in results).most_common(1)
    return gravest if count == len(results) else f"{gravest} ({count} of {len(results)})"


def name(trial: Trial) -> str:
    """Return a trial's name, that of its directories without the seed; a dash where it has none."""
    run = trial.runs[0]
    if run.record is None:
        return "-"
    return run.record.directory.name.removesuffix(f",s={run.seed}" if len(trial.runs) > 1 else "")


def causes(trials: Sequence[Trial]) -> str:
    """Return what went wrong: a block for each cause with the number of its runs, a remedy, and their names.

    Empty where nothing did.
    """
    groups: dict[str, list[TrialRun]] = {}
    for run in (run for trial in trials for run in trial.runs):
        if run.result and run.status.is_bad:
            groups.setdefault(cause(run.result), []).append(run)
    rows = []
    for words, runs in sorted(groups.items(), key=lambda group: -len(group[1])):
        directories = [run.record.directory for run in runs if run.record]
        first, others = directories[:FEW], len(directories) - FEW
        names = ", ".join(directory.name for directory in first) + (f" and {others} more" if others > 0 else "")
        place = {"directory": directories[0] if directories else "the run's directory"}
        remedy = next(text for pattern, text in REMEDIES.items() if re.search(pattern, words))
        rows += [(str(len(runs)), words), ("", remedy.format(**place)), ("", names)]
    return table(rows, right=[0]) if rows else ""


def warnings_told(trials: Sequence[Trial]) -> str:
    """Return what runs were warned of, each warning with the number of its runs; empty where there was nothing."""
    results = [run.result for trial in trials for run in trial.runs if run.result]
    counts = Counter(text for result in results for text in result.warnings)
    return table([(str(count), text) for text, count in counts.most_common()], right=[0]) if counts else ""


def merged(trials: Sequence[Trial]) -> str:
    """Return in words which points are trained once, since they differ in nothing that can change a number."""
    lines = [f"  {', '.join(trial.merged)}: as {trial.label}" for trial in trials if trial.merged]
    count = sum(len(trial.merged) for trial in trials)
    first = f"{count} of {count + len(trials)} points differ from another one in nothing that changes a number:"
    more = [f"  and {len(lines) - FEW} more"] if len(lines) > FEW else []
    return "\n".join([first, *lines[:FEW], *more]) if lines else ""


def cause(result: Result) -> str:
    """Return in a line why a run failed or diverged."""
    message = (result.error or "").strip()
    return (
        DIVERGED if result.status == Status.DIVERGED else message.splitlines()[0] if message else "no reason is known"
    )
