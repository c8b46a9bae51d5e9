"""A grid: every combination checked before the first is trained, each with its own record, and a table at the end."""

import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from gridstorm import config
from gridstorm.annotation import shown
from gridstorm.config import Composed, Overrides
from gridstorm.record import Record, folder, now
from gridstorm.refusal import Problem, Refusal
from gridstorm.space import grid
from gridstorm.table import table


@dataclass
class Trial:
    """One cell of the grid: its configuration, the values of the swept keys, and what came out."""

    composed: Composed
    values: dict[str, str]
    name: str
    result: dict[str, Any] = field(default_factory=dict)


def sweep(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
    """Train every cell that `arguments` span, one after another, and print them sorted by score.

    Raises:
        Refusal: A cell is wrong; nothing was trained.
        SystemExit: With 1 if a trial failed; with 130 or 143 where the sweep was stopped.
    """
    trials = plan(loader, master, arguments)
    directory = folder(
        Path(trials[0].composed.config["output_dir"]), trials[0].composed.config["name"] or f"{now()}-sweep"
    )
    print(f"{len(trials)} trials in {directory}", flush=True)
    try:
        for number, trial in enumerate(trials, 1):
            carry_out(trial, directory)
            print(f"{number}/{len(trials)}  {trial.name}  {outcome(trial)}", flush=True)
    finally:
        print(f"\n{leaderboard(trials)}\n\nlook    tensorboard --logdir {directory.parent}")
    failed = sum(trial.result.get("status") == "failed" for trial in trials)
    if failed:
        print(f"{failed} of {len(trials)} trials failed.", file=sys.stderr)
        sys.exit(1)


def plan(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> list[Trial]:
    """Compose and check every cell; equal recipes are one trial."""
    keys, cells = grid(loader, arguments)
    problems: dict[Problem, None] = {}
    composed: dict[str, tuple[Composed, dict[str, str]]] = {}
    for cell in cells:
        try:
            one = compose(loader, master, cell)
        except Refusal as refusal:
            problems |= dict.fromkeys(refusal.problems)
            continue
        values = dict(text.partition("=")[::2] for text in (text.lstrip("+") for text in cell))
        composed.setdefault(one.signature, (one, {key: values[key] for key in keys}))
    if problems:
        raise Refusal(list(problems))
    width = len(str(len(composed)))
    return [
        Trial(one, values, f"{number:0{width}}-{label(values)}")
        for number, (one, values) in enumerate(composed.values(), 1)
    ]


def compose(loader: ConfigLoader, master: DictConfig, cell: list[str]) -> Composed:
    """Return one cell's configuration, checked as that of a single run."""
    texts = [*master.hydra.overrides.hydra, *cell]
    whole = config.compose(Overrides(loader, master.hydra.job.config_name, texts))
    asked = config.without_hydra(whole)
    single = [key for key in ("resume", "explain") if asked.get(key)]
    if single:
        raise Refusal([Problem(key, "It is asked of one run, and -m starts many.", "Leave out -m.") for key in single])
    return config.accept(asked, whole.hydra)


def label(values: dict[str, str]) -> str:
    """Return the swept values in a directory's name: `cnn,lr=0.01`."""
    parts = [value if "." not in key else f"{key.rpartition('.')[2]}={value}" for key, value in values.items()]
    return ",".join(parts).replace("/", "_").replace(" ", "") or "only"


def carry_out(trial: Trial, directory: Path) -> None:
    """Train one trial; whatever goes wrong with it is told and costs this trial alone."""
    from gridstorm.run import quiet, train

    command = " ".join(["python train.py", *trial.composed.overrides])
    try:
        with quiet():
            trial.result = train(
                trial.composed, lambda: Record.create(directory, trial.name, trial.composed, command), alone=False
            )
    except Refusal as refusal:
        trial.result = {"status": "failed", "error": " ".join(map(str, refusal.problems))}
    except Exception as error:
        traceback.print_exc()
        trial.result = {"status": "failed", "error": f"{type(error).__name__}: {error}"}


def outcome(trial: Trial) -> str:
    """Return what came out of a trial in a few words."""
    result = trial.result
    if result["status"] == "failed":
        return f"failed: {result['error']}"
    if result["score"] is None:
        return f"{result['status']}, without a score"
    return f"{result['monitor']} {number(result['score'])} in epoch {result['best_epoch']}, {result['seconds']:.1f} s"


def leaderboard(trials: Sequence[Trial]) -> str:
    """Return the trials as a table, best score first and those without one last; swept keys only."""
    done = [trial for trial in trials if trial.result]
    if not done:
        return "No trial has ended."
    mode, monitor = (done[0].composed.config[key] for key in ("mode", "monitor"))
    sign = 1 if mode == "min" else -1

    def rank(trial: Trial) -> tuple[bool, float]:
        score = trial.result.get("score")
        return (score is None, sign * (score or 0.0))

    header = ("", *done[0].values, monitor, "epoch", "seconds", "status", "run")
    return table([header, *_rows(sorted(done, key=rank))])


def _rows(trials: Sequence[Trial]) -> Iterator[tuple[str, ...]]:
    for place, trial in enumerate(trials, 1):
        result = trial.result
        figures = (number(result.get("score")), shown(result.get("best_epoch")), number(result.get("seconds")))
        yield (str(place), *trial.values.values(), *figures, result["status"], trial.name)


def number(value: float | None) -> str:
    """Return a number with four digits, a dash for none."""
    return "-" if value is None else f"{value:.4g}"
