"""Training longer: a run of its own that begins where another one is, and knows it."""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridstorm.config import RunConfig, component, digest, is_module
from gridstorm.error import Problem, UserError
from gridstorm.module import counts_steps
from gridstorm.objects import loaded
from gridstorm.record import BEST, LAST, PARENT, POINTS, RunRecord, Status
from gridstorm.target import build, command

LENGTH = ("max_epochs", "max_steps")
GIVEN = (
    *(f"trainer.{name}" for name in LENGTH),
    "resume",
    "horizon",
    "name",
    "output_dir",
)  # what may stand beside resume=


def longer(asked: RunConfig, parent: RunRecord, started: RunConfig) -> tuple[RunConfig, Callable[[], RunRecord]]:
    """Return the configuration of a run that trains longer, and what opens its record, in which its start lies.

    Args:
        asked: The command line, with `resume=`.
        parent: The run that it goes on with.
        started: That run's configuration.

    Raises:
        UserError: Something else is asked for than more epochs, or there is nothing to begin from.
    """
    lengths = _lengths(asked)
    checkpoint = _start(parent)
    state = loaded(checkpoint)
    epoch, epochs = int(state["epoch"]) + 1, lengths.get("max_epochs", started.values["trainer"].get("max_epochs"))
    if isinstance(epochs, int) and 0 <= epochs <= epoch:
        remedy = f"Give more than {epoch}, or resume={parent.directory} alone if it was interrupted."
        fact = f"{parent.directory} is trained for {epoch} epochs already."
        raise UserError([Problem(f"trainer.max_epochs={epochs}", fact, remedy)])
    before = {
        "directory": str(parent.directory),
        "signature": started.signature,
        "epoch": epoch,
        "checkpoint": digest(checkpoint),
        "horizon": _horizon(started, epoch, int(state["global_step"])),
    }
    config = _config(asked, started, lengths, before)

    def opened() -> RunRecord:
        typed = command(shlex.join(asked.overrides))
        record = RunRecord.create(Path(config.values["output_dir"]), config.values["name"], config, typed)
        begin_from(record, checkpoint, parent)
        return record

    return config, opened


def _lengths(asked: RunConfig) -> dict[str, Any]:
    """Return how long a run is to be trained, by the Trainer's arguments.

    Raises:
        UserError: Something else is asked for as well, or nothing.
    """
    keys = {text.partition("=")[0].lstrip("+"): text for text in asked.overrides}
    if others := [text for key, text in keys.items() if key not in GIVEN]:
        fact = "A run goes on with the configuration that it was started with."
        remedy = "Give resume= alone, or trainer.max_epochs=N to train longer; for other values start a new run."
        raise UserError([Problem(" ".join(others), fact, remedy)])
    lengths = {name: asked.values["trainer"][name] for name in LENGTH if f"trainer.{name}" in keys}
    if not lengths:
        remedy = "Add trainer.max_epochs=N, with more than it has."
        raise UserError([Problem(" ".join(asked.overrides), "It says nothing of how long to train.", remedy)])
    return lengths


def _config(asked: RunConfig, started: RunConfig, lengths: dict[str, Any], before: dict[str, Any]) -> RunConfig:
    """Return a run's configuration with other lengths, and with what it begins from."""
    values = {
        **started.values,
        "trainer": started.values["trainer"] | lengths,
        "resume": None,
        "branch": None,  # of a branch that trains longer: it begins where that ended
        "output_dir": asked.values["output_dir"],
        "name": asked.values["name"],
        "horizon": asked.values["horizon"],
        "parent": before,
    }
    values["name"] = asked.values["name"] or component(
        f"{Path(before['directory']).resolve().name}-to-{values['trainer'].get('max_epochs')}"
    )
    given = dict.fromkeys((*(f"trainer.{name}" for name in lengths), "horizon", "name"), "command line")
    return replace(started, values=values, overrides=asked.overrides, origins={**started.origins, **given})


def begin_from(record: RunRecord, checkpoint: Path, parent: RunRecord) -> None:
    """Let a new run begin from a checkpoint, with the curves and the best weights up to there."""
    for name in (PARENT, LAST):
        shutil.copyfile(checkpoint, record.directory / name)
    if parent.best_checkpoint:
        shutil.copyfile(parent.best_checkpoint, record.directory / BEST)
    record.write(POINTS, "".join(json.dumps(row) + "\n" for row in parent.rows()))


def _start(parent: RunRecord) -> Path:
    """Return the checkpoint to begin from.

    Raises:
        UserError: There is none, or its weights are no numbers any more.
    """
    if parent.last_checkpoint is None:
        fact, remedy = "It has no checkpoint to begin from.", "Start a new run with more epochs."
        raise UserError([Problem(f"resume={parent.directory}", fact, remedy)])
    if parent.result and parent.result.status == Status.DIVERGED:
        fact = "Its training loss became NaN or infinite, and would stay so."
        raise UserError([Problem(f"resume={parent.directory}", fact, "Start a new run with a smaller optimizer.lr.")])
    return parent.last_checkpoint


def _horizon(started: RunConfig, epoch: int, steps: int) -> int | None:
    """Return how many steps a scheduler counted in a run; None where it counts none, or is the user's own module's."""
    values = started.values
    if is_module(values["model"]["_target_"]) or not counts_steps(build(values["scheduler"])):
        return None
    before = values.get("parent") or {}
    if before.get("horizon") and values.get("horizon") != "stretch":
        return int(before["horizon"])
    epochs, most = values["trainer"].get("max_epochs"), values["trainer"].get("max_steps")
    whole = round(steps / epoch * epochs) if isinstance(epochs, int) and epochs > 0 else steps
    return min(whole, most) if isinstance(most, int) and most > 0 else whole
