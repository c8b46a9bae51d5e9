"""A run's directory: all there is to know of one training, written so that a crash leaves no half file.

config.yaml         the resolved configuration
origin.json         the command, the overrides, and where each value came from
environment.json    commit, versions, host, device, fingerprint of the data
code.diff           what was not committed when the run started
metrics.jsonl       a line for each point of the curves
checkpoints/        best.ckpt and last.ckpt: tensors and plain configuration
events.out...       the same for TensorBoard: a view, made anew from metrics.jsonl when a run goes on
result.json         written last: its presence says that the run is over
"""

import json
import math
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from gridstorm.config import Composed, leaves
from gridstorm.refusal import Problem, Refusal
from gridstorm.target import find
from gridstorm.task import METRICS
from gridstorm.tensorboard import EventFile, markdown

COUNTERS = ("step", "epoch", "samples", "seconds")
VERSIONS = (
    "gridstorm",
    "torch",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scikit-learn",
    "tensorboard",
)


class Record:
    """One run's directory. Make one with `create`, read one with `Record(directory)`."""

    def __init__(self, directory: Path) -> None:
        """Take the directory of a run.

        Raises:
            Refusal: There is no run in `directory`.
        """
        self.directory = directory
        if not (directory / "config.yaml").is_file():
            fact = "There is no run in this directory (no config.yaml)."
            raise Refusal([Problem(str(directory), fact, "Name the directory that a run printed at its end.")])
        self._metrics: Any = None
        self._events: EventFile | None = None

    @classmethod
    def create(cls, parent: Path, name: str | None, composed: Composed, command: str) -> "Record":
        """Make the directory `parent/name` (`name-2` and so on where it is taken) with all that is known at the start.

        It appears complete: the files are written to a hidden directory, which is then renamed.
        """
        hidden = parent / f".{secrets.token_hex(8)}"
        (hidden / "checkpoints").mkdir(parents=True)
        (hidden / "config.yaml").write_text(yaml.safe_dump(composed.config, sort_keys=False))
        origin = {
            "command": command,
            "overrides": composed.overrides,
            "choices": composed.choices,
            "origins": composed.origins,
        }
        (hidden / "origin.json").write_text(json.dumps(origin, indent=1))
        for directory in numbered(parent, name or default_name(composed)):
            try:
                hidden.rename(directory)
            except OSError:  # taken: a run's directory is never empty, and rename replaces only empty ones
                if not directory.exists():
                    raise
                continue
            return cls(directory)
        raise AssertionError("the suffixes have no end")

    @property
    def composed(self) -> Composed:
        """The configuration with which the run was started."""
        config = yaml.safe_load((self.directory / "config.yaml").read_text())
        origin = json.loads((self.directory / "origin.json").read_text())
        return Composed(config, origin["overrides"], origin["choices"], origin["origins"])

    @property
    def result(self) -> dict[str, Any] | None:
        """What came out, None while the run is not over."""
        file = self.directory / "result.json"
        return json.loads(file.read_text()) if file.is_file() else None

    @property
    def environment(self) -> dict[str, Any]:
        """What the numbers may depend on beside the recipe; empty for a run that has not begun."""
        file = self.directory / "environment.json"
        return json.loads(file.read_text()) if file.is_file() else {}

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best score, None where there is none."""
        return self._checkpoint("best.ckpt")

    @property
    def last_checkpoint(self) -> Path | None:
        """The checkpoint from which the run can go on, None where there is none."""
        return self._checkpoint("last.ckpt")

    def _checkpoint(self, name: str) -> Path | None:
        file = self.directory / "checkpoints" / name
        return file if file.is_file() else None

    def rows(self) -> list[dict[str, Any]]:
        """Return the points of the curves, oldest first; a line that a crash cut short is left out."""
        file = self.directory / "metrics.jsonl"
        lines = file.read_text().splitlines() if file.is_file() else []
        return [row for line in lines if (row := _parsed(line)) is not None]

    def begin(self, step: int, environment: Mapping[str, Any]) -> None:
        """Start writing: forget the points after `step`, and make TensorBoard's view of the others."""
        self.write("environment.json", json.dumps(environment, indent=1))
        (self.directory / "result.json").unlink(missing_ok=True)
        kept = [row for row in self.rows() if row["step"] <= step]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))
        for old in [*self.directory.glob("events.out.tfevents.*"), *self.directory.rglob(".*.[0-9]*")]:
            old.unlink()  # the view is made anew, and what a crash left half written is not needed
        self._metrics = (self.directory / "metrics.jsonl").open("a")
        self._events = EventFile(self.directory)
        self._introduce(environment)
        for row in kept:
            self._show(row)
        self._events.flush()

    def _introduce(self, environment: Mapping[str, Any]) -> None:
        """Write what TensorBoard shows of a run beside its curves: hyperparameters, configuration, charts."""
        composed, origin = self.composed, json.loads((self.directory / "origin.json").read_text())
        group = f"{self.directory.name}/{self.directory.parent.resolve().name}"  # its first 13 characters are shown
        self.events.hparams(hyperparameters(composed), group, environment["started"])
        config = yaml.safe_dump(composed.config, sort_keys=False)
        self.events.text("config", f"{markdown(origin['command'], 'sh')}\n\n{markdown(config, 'yaml')}")
        data = find(composed.config["data"]["_target_"])
        names = METRICS.get(data.constant("task") if data else "", {})
        self.events.charts({"train against validation": {name: [f"train/{name}", f"val/{name}"] for name in names}})

    @property
    def events(self) -> EventFile:
        """The event file, once the run has begun."""
        assert self._events is not None, "Record.begin was not called"
        return self._events

    def log(self, counters: Mapping[str, float], values: Mapping[str, float]) -> None:
        """Add one point to the curves.

        Args:
            counters: `step` of the optimizer, `epoch` from 1, `samples` seen in training, `seconds` of training.
            values: The metrics. A value that is not finite is null in metrics.jsonl, whose lines are strict JSON.
        """
        row = {**counters, **{name: _number(value) for name, value in values.items()}}
        self._metrics.write(json.dumps(row, allow_nan=False) + "\n")
        self._metrics.flush()
        self._show({**counters, **values})

    def _show(self, row: Mapping[str, Any]) -> None:
        """Pass a row on to TensorBoard, against samples seen: so runs with other batch sizes compare."""
        shown = {name: math.nan if value is None else value for name, value in row.items() if name not in COUNTERS}
        self.events.scalars(int(row["samples"]), shown)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write result.json, last and at once, and close TensorBoard's session with the true status."""
        self.events.session_end("success" if result["status"] == "done" else "failure")
        self.close()
        self.write("result.json", json.dumps({**result, "score": _number(result["score"])}, indent=1))

    def close(self) -> None:
        """Close the files of a run that ends or is interrupted."""
        if self._metrics:
            self._metrics.close()
        if self._events:
            self._events.close()

    def discard(self) -> None:
        """Remove the directory of a run that was refused before its first point."""
        self.close()
        if not self.rows():
            shutil.rmtree(self.directory)

    def write(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        beside = self.directory / f".{name}.{os.getpid()}"
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self.directory / name)


def hyperparameters(composed: Composed) -> dict[str, bool | int | float | str]:
    """Return the recipe as TensorBoard's table shows it: choices by name, single values by key, without the seeds."""
    recipe = {key: value for key, value in composed.recipe.items() if key not in ("seed", "monitor", "mode")}
    values = {
        key: value for key, value in leaves(recipe) if key.rpartition(".")[2] not in ("seed", "_target_", "_partial_")
    }
    shown = {key: value for key, value in values.items() if isinstance(value, bool | int | float | str)}
    groups = {group: composed.choices[group] for group in recipe if group in composed.choices and group != "trainer"}
    return {**groups, **shown, **{key: str(value) for key, value in values.items() if isinstance(value, list)}}


def environment(device: str, fingerprint: str) -> dict[str, Any]:
    """Return what a run's numbers may depend on beside its recipe.

    Args:
        device: What trains, such as `cpu` or a GPU's name.
        fingerprint: Of the data, as its data module gives it.
    """
    return {
        "started": time.time(),
        "commit": _git("rev-parse", "HEAD"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
        "host": platform.node(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "device": device,
        "data": fingerprint,
    }


def uncommitted() -> str:
    """Return the difference between the code and its last commit, empty outside a repository."""
    return _git("diff", "HEAD") or ""


def default_name(composed: Composed) -> str:
    """Return `yymmdd-hhmmss-DATA-MODEL`, of the choices' names."""
    choices = [composed.choices.get(group, group) for group in ("data", "model")]
    return "-".join([now(), *choices])


def now() -> str:
    """Return the time as `yymmdd-hhmmss`, which sorts and fits TensorBoard's thirteen characters of a trial's name."""
    return time.strftime("%y%m%d-%H%M%S")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip("\n")


def numbered(parent: Path, name: str) -> Iterator[Path]:
    """Yield `parent/name`, `parent/name-2` and so on."""
    yield parent / name
    yield from (parent / f"{name}-{number}" for number in range(2, sys.maxsize))


def folder(parent: Path, name: str) -> Path:
    """Make and return `parent/name`, or the first of `name-2` and so on that no one else has made."""
    parent.mkdir(parents=True, exist_ok=True)
    for directory in numbered(parent, name):
        try:
            directory.mkdir()
        except FileExistsError:
            continue
        return directory
    raise AssertionError("the suffixes have no end")


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)  # type: ignore[no-any-return]
    except json.JSONDecodeError:
        return None


def _number(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
