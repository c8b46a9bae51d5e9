"""What a sweep leaves behind: results.csv, best.yaml, its page on TensorBoard, and a few words."""

import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gridstorm.config import number
from gridstorm.record import PRESET, TABLE, Trial, manifest, ranked, write_whole
from gridstorm.report.board import address, write_board
from gridstorm.report.leaderboard import best, cause, causes, leaderboard, name, swept, warnings_told
from gridstorm.target import command

FIGURES = ("score", "best_epoch", "epochs", "seconds", "parameters")


def report(
    directory: Path, trials: Sequence[Trial], monitor: str, mode: str, about: Mapping[str, Any] | None = None
) -> str:
    """Write results.csv, best.yaml and the page on TensorBoard, and return what is to be said at the end of a sweep.

    Args:
        directory: That of the sweep.
        trials: Its trials.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
        about: What its manifest says, where that is not written yet.
    """
    from gridstorm.answer import Answer, Study  # which loads NumPy and SciPy
    from gridstorm.command import again  # which loads Hydra, and a worker does without

    written = write_results(directory, trials, mode)
    file = write_best(directory, trials, monitor, mode)
    failed, alerts = causes(trials), warnings_told(trials)
    answer = Answer(Study.of(trials, monitor, mode, {**manifest(directory), **(about or {})}), str(directory))
    write_board(directory, trials, monitor, mode, answer)
    last = [f"again   {command(again(file))}"] if file else []
    parts = [
        leaderboard(trials, monitor, mode),
        *(["\n".join(answer.in_short())] if file else []),
        *(["What went wrong:\n" + failed] if failed else []),
        *(["What was warned of:\n" + alerts] if alerts else []),
        *([] if file else ["No trial came to its end with a score, so there is no best.yaml."]),
        "\n".join(
            [
                f"table   {written}",
                *last,
                *([f"next    {answer.next.command}", f"        {answer.next.why}"] if file else []),
                f"report  gridstorm report {shlex.quote(str(directory))}",
                f"look    tensorboard --logdir {shlex.quote(str(directory.parent))}",
                f"        {address(directory)}",
            ]
        ),
    ]
    return "\n\n".join(parts)


def write_results(directory: Path, trials: Sequence[Trial], mode: str) -> Path:
    """Write results.csv, a row for each run, those of the best trial first, and return its path.

    Cells are blank where there is no value; true, false, numbers and text can be told apart; a list is JSON.

    Args:
        directory: That of the sweep.
        trials: Its trials.
        mode: Whether the score is better when it is smaller (`min`) or larger (`max`).
    """
    columns, rows = results(trials, mode)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_whole(directory / TABLE, text.getvalue())
    return directory / TABLE


def results(trials: Sequence[Trial], mode: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of the columns of a sweep's results and a row for each run, those of the best trial first."""
    metrics = sorted({key for trial in trials for run in trial.runs if run.result for key in run.result.metrics})
    columns = [
        *("trial", "run", "seed", "status", "health", *swept(trials), "score", "mean", "half_interval", *FIGURES[1:]),
        *(*metrics, "signature", "directory", "error"),
    ]
    return columns, [row for trial in ranked(trials, mode) for row in _rows(trial)]


def _rows(trial: Trial) -> Iterator[dict[str, Any]]:
    mean, half = trial.score, trial.interval
    for run in trial.runs:
        yield {
            **trial.values,
            **(run.result.metrics if run.result else {}),
            **{key: getattr(run.result, key, None) for key in FIGURES},
            **{"trial": trial.number or None, "seed": run.seed, "status": run.status, "mean": mean},
            "half_interval": half,
            "health": " ".join(run.result.findings) if run.result else None,
            "run": run.record.directory.name if run.record else None,
            "signature": run.config.signature,
            "directory": str(run.record.directory) if run.record else None,
            "error": cause(run.result) if run.result and run.status.is_bad else None,
        }


def _cell(value: Any) -> str:
    """Return a value as a cell that other tools read with its type."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value) if isinstance(value, bool | list | dict) else repr(value)


def write_best(directory: Path, trials: Sequence[Trial], monitor: str, mode: str) -> Path | None:
    """Write best.yaml, a preset that composes the recipe of the best trial's first run, and return its path.

    Where no trial has a score, None: an older best.yaml is removed.

    Args:
        directory: That of the sweep.
        trials: Its trials.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
    """
    from omegaconf import OmegaConf

    from gridstorm.command import again, as_preset, fixed

    file, trial = directory / PRESET, best(trials, mode)
    if trial is None:
        file.unlink(missing_ok=True)
        return None
    half = f" ± {trial.interval:.2g}" if trial.interval is not None else ""
    lines = [
        "# @package _global_",
        f"# Best of {len(trials)} trials in {directory.name}: {name(trial)}, {monitor} {number(trial.score)}{half}.",
        f"# {command(again(file))}",
    ]
    lines += [
        f"# {key} was written {text}: here it is what that was in this run."
        for key, text in fixed(trial.runs[0].config)
    ]
    defaults, content = as_preset(trial.runs[0].config)
    parts = [{"defaults": defaults}, *({key: value} for key, value in content.items())]
    body = [OmegaConf.to_yaml(OmegaConf.create(part)) for part in parts]
    write_whole(file, "\n".join([*lines, body[0], "".join(body[1:])]))
    return file
