"""What a sweep leaves behind: results.csv, best.yaml, its page on TensorBoard, and a few words."""

import csv
import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import OmegaConf

from gridstorm.annotation import shown
from gridstorm.board import address, write_board
from gridstorm.leaderboard import best, cause, causes, leaderboard, name, number, swept, warnings_told
from gridstorm.overrides import GROUPS, OF_SWEEPS
from gridstorm.preset import PRESETS
from gridstorm.record import write_whole
from gridstorm.trial import BAD, Run, Trial, ranked

FIGURES = ("score", "best_epoch", "epochs", "seconds", "parameters")
NODE = r"\$\{[\w.@/-]+\}"  # an interpolation of another key, and no resolver


def report(directory: Path, trials: Sequence[Trial], monitor: str, mode: str) -> str:
    """Write results.csv, best.yaml and the page on TensorBoard, and return what is to be said at the end of a sweep.

    Args:
        directory: That of the sweep.
        trials: Its trials.
        monitor: The name of the score.
        mode: Whether it is better when it is smaller (`min`) or larger (`max`).
    """
    results = write_results(directory, trials, mode)
    file = write_best(directory, trials, monitor, mode)
    write_board(directory, trials, monitor, mode)
    failed, alerts = causes(trials), warnings_told(trials)
    last = [f"again   python train.py {again(file)}"] if file else []
    parts = [
        leaderboard(trials, monitor, mode),
        *(["What went wrong:\n" + failed] if failed else []),
        *(["What was warned of:\n" + alerts] if alerts else []),
        *([] if file else ["No trial came to its end with a score, so there is no best.yaml."]),
        "\n".join(
            [
                f"table   {results}",
                *last,
                f"look    tensorboard --logdir {directory.parent}",
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
    rows = [row for trial in ranked(trials, mode) for row in _rows(trial)]
    metrics = sorted({key for trial in trials for run in trial.runs for key in run.result.get("metrics", {})})
    columns = [
        *("trial", "run", "seed", "status", *swept(trials), "score", "mean", "half_interval", *FIGURES[1:]),
        *(*metrics, "signature", "directory", "error"),
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    write_whole(directory / "results.csv", text.getvalue())
    return directory / "results.csv"


def _rows(trial: Trial) -> Iterator[dict[str, Any]]:
    mean, half = trial.score, trial.interval
    for run in trial.runs:
        yield {
            **trial.point,
            **run.result.get("metrics", {}),
            **{key: run.result.get(key) for key in FIGURES},
            **{"trial": trial.number or None, "seed": run.seed, "status": run.status, "mean": mean},
            "half_interval": half,
            "run": run.record.directory.name if run.record else None,
            "signature": run.composed.signature,
            "directory": str(run.record.directory) if run.record else None,
            "error": cause(run.result) if run.status in BAD else None,
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
    file, trial = directory / "best.yaml", best(trials, mode)
    if trial is None:
        file.unlink(missing_ok=True)
        return None
    half = f" ± {trial.interval:.2g}" if trial.interval is not None else ""
    lines = [
        "# @package _global_",
        f"# Best of {len(trials)} trials in {directory.name}: {name(trial)}, {monitor} {number(trial.score)}{half}.",
        f"# python train.py {again(file)}",
    ]
    lines += [
        f"# {key} was written {text}: here it is what that was in this run." for key, text in fixed(trial.runs[0])
    ]
    defaults, content = recipe(trial.runs[0])
    parts = [{"defaults": defaults}, *({key: value} for key, value in content.items())]
    body = [OmegaConf.to_yaml(OmegaConf.create(part)) for part in parts]
    write_whole(file, "\n".join([*lines, body[0], "".join(body[1:])]))
    return file


def again(file: Path) -> str:
    """Return the override that trains a best.yaml again, quoted for the command line where its path needs that."""
    return shlex.quote(f"{PRESETS}={Override._get_value_element_as_str(_quoted(str(file)))}")


def _quoted(path: str) -> str | QuotedString:
    """Return a path as Hydra reads it as one value: in quotes where it has more than letters, digits and `/._-`."""
    return path if re.fullmatch(r"[A-Za-z0-9_/.+-]+", path) else QuotedString(path, Quote.single)


def recipe(run: Run) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a run's choices as a list of defaults, and the values of its recipe.

    A preset can set a key, not take one away: of a section from which one was taken (`~optimizer.eps`), nothing is
    chosen, and it stands here as a whole.
    """
    composed = run.composed
    lacking = {re.split("[.=]", text[1:])[0] for text in composed.overrides if text.startswith("~")}
    values = composed.recipe
    values["callbacks"] = composed.config["callbacks"] if "callbacks" in lacking else values["callbacks"]
    groups = [group for group in GROUPS if group in composed.choices and group not in (*OF_SWEEPS, PRESETS)]
    defaults = [{f"override /{group}": None if group in lacking else composed.choices[group]} for group in groups]
    whole = {"trainer": composed.config["trainer"]} if "trainer" in lacking else {}
    plain = {key: value for key, value in {**values, **whole}.items() if value != {}}
    return defaults, {key: _section(run, key, value, key in lacking) for key, value in plain.items()}


def _section(run: Run, key: str, value: Any, whole: bool) -> Any:
    """Return a value of the recipe as a preset has it: without what its choice says anyway of its target.

    What was written as an interpolation of other keys is one there too, so that a later `seed=1` reaches it.
    """
    written = run.composed.written.get(key)
    if written is not None and follows(written):
        return written
    if isinstance(value, dict):
        inner = {name: _section(run, f"{key}.{name}", item, whole) for name, item in value.items()}
        return {name: item for name, item in inner.items() if whole or not _chosen(run, f"{key}.{name}")}
    return _as_text(value)


def follows(written: Any) -> bool:
    """Tell whether a text, or each text of a list, is made of other keys alone: of no environment and no clock."""
    texts = written if isinstance(written, list) else [written]
    return not any("${" in re.sub(NODE, "", str(text)) for text in texts)


def fixed(run: Run) -> list[tuple[str, str]]:
    """Return the keys of the recipe, with their texts, that a preset holds as the values that they had in the run."""
    recipe = run.composed.recipe
    texts = {key: text for key, text in run.composed.written.items() if key.split(".")[0] in recipe}
    return [(key, " ".join(shown(text).split())) for key, text in texts.items() if not follows(text)]


def _as_text(value: Any) -> Any:
    """Return a plain value as YAML that is composed again has it: what looks like an interpolation is none."""
    if isinstance(value, list):
        return [_as_text(one) for one in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _chosen(run: Run, key: str) -> bool:
    """Tell whether a key belongs to a target and comes with its choice; then another choice can bring another one."""
    group, origin = key.partition(".")[0], run.composed.origins.get(key, "default")
    with_choice = origin == "default" or origin.startswith("choice ") or f": {group}=" in origin
    return key.rpartition(".")[2] in ("_target_", "_partial_") and with_choice and group in run.composed.choices
