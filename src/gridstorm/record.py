"""A run's directory: all there is to know of one training, written so that a crash leaves no half file.

config.yaml         the resolved configuration
origin.json         the command, the overrides, and where each value came from
environment.json    commit, versions, host, device, fingerprint of the data
code.diff           what was not committed when the run started
metrics.jsonl       a line for each point of the curves
checkpoints/        best.ckpt and last.ckpt: tensors and plain configuration
events.out...       the same for TensorBoard: a view, made anew from metrics.jsonl when a run goes on
result.json         written last: its presence says that the run is over
error.txt           the traceback of a run that failed
output.txt          what a sweep's run printed
stop                asks a run to stop at the end of its epoch or after so many, and says why
.lock               held by the process that trains the run
"""

import json
import math
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from gridstorm.config import Composed, leaves
from gridstorm.refusal import Problem, Refusal
from gridstorm.target import find
from gridstorm.task import METRICS

if TYPE_CHECKING:
    from gridstorm.tensorboard import EventFile

RESULT = "result.json"
HELD_SECONDS = 10.0  # how long a process that was killed may take to end
COUNTERS = ("step", "epoch", "samples", "seconds")


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
        self._lock: IO[str] | None = None

    @classmethod
    def create(
        cls, parent: Path, name: str | None, composed: Composed, command: str, trial: Mapping[str, Any] | None = None
    ) -> "Record":
        """Make the directory `parent/name` (`name-2` and so on where it is taken) with all that is known at the start.

        It appears complete: the files are written to a hidden directory, which is then renamed.

        Args:
            parent: The folder for the directory.
            name: Its name; None takes the time, the data and the model.
            composed: The configuration.
            command: What was typed.
            trial: Of a sweep's run: the trial's number, its values and the like.
        """
        hidden = parent / f".{secrets.token_hex(8)}"
        (hidden / "checkpoints").mkdir(parents=True)
        (hidden / "config.yaml").write_text(_dumped(composed.config))
        origin = {
            "command": command,
            "signature": composed.signature,
            "trial": trial,
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

    @cached_property
    def composed(self) -> Composed:
        """The configuration with which the run was started."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where it is there: ten times faster
        config = yaml.load((self.directory / "config.yaml").read_text(), Loader=loader)
        origin = self.origin
        return Composed(config, origin["overrides"], origin["choices"], origin["origins"])

    @property
    def result(self) -> dict[str, Any] | None:
        """What came out, None while the run is not over."""
        file = self.directory / "result.json"
        return json.loads(file.read_text()) if file.is_file() else None

    @property
    def origin(self) -> dict[str, Any]:
        """Where the run came from: command, overrides, signature, and of a sweep's run what its trial is."""
        return json.loads((self.directory / "origin.json").read_text())  # type: ignore[no-any-return]

    @property
    def begun(self) -> bool:
        """Whether training was ever started."""
        return (self.directory / "environment.json").is_file()

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

    def rows_after(self, place: int) -> tuple[list[dict[str, Any]], int]:
        """Return the whole lines of metrics.jsonl that begin at a byte or after it, and the byte at which they end."""
        file = self.directory / "metrics.jsonl"
        if not file.is_file() or file.stat().st_size <= place:
            return [], place
        with file.open("rb") as opened:
            opened.seek(place)
            text = opened.read()
        whole = text[: text.rfind(b"\n") + 1]
        return [row for line in whole.splitlines() if (row := _parsed(line.decode())) is not None], place + len(whole)

    def stops_after(self, epochs: int) -> str | None:
        """Return why the run is asked to stop after so many epochs (`pruned`); None if it is to go on."""
        file = self.directory / "stop"
        asked = json.loads(file.read_text()) if file.is_file() else None
        return str(asked["why"]) if asked and epochs >= asked["epochs"] else None

    def ask_to_stop(self, why: str, epochs: int = 0) -> None:
        """Ask the run to stop at the end of its epoch, or after so many epochs, wherever it is trained."""
        self.write("stop", json.dumps({"why": why, "epochs": epochs}))

    def reopen(self, anew: bool = False) -> None:
        """Let a run that is over go on from its last checkpoint, or with `anew` from its start."""
        names = ["result.json", "stop", "error.txt"]
        names += ["metrics.jsonl", "checkpoints/last.ckpt", "checkpoints/best.ckpt"] if anew else []
        for name in names:
            (self.directory / name).unlink(missing_ok=True)

    def hold(self) -> None:
        """Keep every other process from training this run, until this one closes it or ends.

        Raises:
            Refusal: Another process trains it.
        """
        self._lock = hold(self.directory / ".lock", seconds=HELD_SECONDS)
        if self._lock is None:
            fact, remedy = "Another process trains this run.", "Wait until it is over, or stop that process."
            raise Refusal([Problem(str(self.directory), fact, remedy)])

    def begin(self, step: int, environment: Mapping[str, Any]) -> None:
        """Start writing: forget the points after `step`, and make TensorBoard's view of the others."""
        from gridstorm.tensorboard import EventFile

        self.write("environment.json", json.dumps(environment, indent=1))
        (self.directory / "result.json").unlink(missing_ok=True)
        kept = [row for row in self.rows() if row["step"] <= step]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))
        for old in [*self.directory.glob("events.out.tfevents.*"), *self.directory.rglob(".*.[0-9]*")]:
            old.unlink(missing_ok=True)  # the view is made anew, and what a crash left half written is not needed
        self._metrics = (self.directory / "metrics.jsonl").open("a")
        self._events = EventFile(self.directory)
        self._introduce(environment)
        for row in kept:
            self._show(row)
        self._events.flush()

    def _introduce(self, environment: Mapping[str, Any]) -> None:
        """Write what TensorBoard shows of a run beside its curves: hyperparameters, configuration, charts."""
        from gridstorm.tensorboard import markdown

        composed, origin = self.composed, self.origin
        trial = (origin.get("trial") or {}).get("name", self.directory.name)  # runs of one trial are one row
        group = f"{trial}/{self.directory.parent.resolve().name}"  # its first 13 characters are shown
        self.events.hparams(hyperparameters(composed), group, environment["started"])
        config = markdown((self.directory / "config.yaml").read_text(), "yaml")
        self.events.text("config", f"{markdown(origin['command'], 'sh')}\n\n{config}")
        data = find(composed.config["data"]["_target_"])
        names = METRICS.get(data.constant("task") if data else "", {})
        self.events.charts({"train against validation": {name: [f"train/{name}", f"val/{name}"] for name in names}})

    @property
    def events(self) -> "EventFile":
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
        self.events.session_end("success" if result["status"] in ("done", "pruned") else "failure")
        self._conclude(result)
        self.close()

    def _conclude(self, result: Mapping[str, Any]) -> None:
        self.write(RESULT, json.dumps({**result, "score": _number(result["score"])}, indent=1), sync=True)

    def fail(self, error: str, trace: str = "") -> None:
        """Write down that the run failed, where its own process could not say so any more."""
        from gridstorm.tensorboard import EventFile

        rows, config = self.rows(), self.composed.config
        scores = [value for row in rows for name, value in row.items() if name.startswith("best/")]
        last = rows[-1] if rows else {"epoch": 0, "seconds": 0.0, "samples": 0}
        self.write("error.txt", trace or error)
        result = {name: config[name] for name in ("monitor", "mode")} | {
            "signature": self.origin["signature"],
            "status": "failed",
            "score": scores[-1] if scores else None,
            "best_epoch": None,
            "epochs": last["epoch"],
            "seconds": last["seconds"],
            "parameters": None,
            "error": error,
        }
        self.close()
        with EventFile(self.directory) as events:
            events.scalars(int(last["samples"]), {"fit/ok": 0.0})
            events.session_end("failure")
        self._conclude(result)

    def close(self) -> None:
        """Close the files of a run that ends or is interrupted."""
        if self._metrics:
            self._metrics.close()
        if self._events:
            self._events.close()
        if self._lock:
            self._lock.close()

    def discard(self) -> None:
        """Remove the directory of a run that was refused before its first point."""
        self.close()
        if not self.rows():
            shutil.rmtree(self.directory)

    def write(self, name: str, text: str, sync: bool = False) -> None:
        """Write a file whole or not at all; with `sync` it is on the disk when this returns."""
        write_whole(self.directory / name, text, sync)


def _dumped(config: Mapping[str, Any]) -> str:
    """Return a configuration as YAML, by libyaml where it is there: ten times faster."""
    return yaml.dump(config, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def write_whole(file: Path, text: str, sync: bool = False) -> None:
    """Write a file whole or not at all; with `sync` it is on the disk when this returns."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as opened:
        opened.write(text)
        if sync:
            opened.flush()
            os.fsync(opened.fileno())
    beside.replace(file)


def hold(file: Path, seconds: float = 0.0) -> IO[str] | None:
    """Lock a file for this process alone until it is closed or the process ends; None where another one holds it.

    Args:
        file: It is made if it is missing.
        seconds: How long to wait for the other process to end.
    """
    import fcntl

    opened, until = file.open("a"), time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.02)
                continue
            opened.close()
            return None
        return opened


def records(parent: Path) -> list[Record]:
    """Return the runs in a folder, by name."""
    if not parent.is_dir():
        return []
    with os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    return [Record(parent / name) for name in names if (parent / name / "config.yaml").is_file()]


def hyperparameters(composed: Composed) -> dict[str, bool | int | float | str]:
    """Return the recipe as TensorBoard's table shows it: choices by name, single values by key, without the seeds."""
    recipe = {key: value for key, value in composed.recipe.items() if key not in ("seed", "monitor", "mode")}
    values = {
        key: value for key, value in leaves(recipe) if key.rpartition(".")[2] not in ("seed", "_target_", "_partial_")
    }
    shown = {key: value for key, value in values.items() if isinstance(value, bool | int | float | str)}
    groups = {group: composed.choices[group] for group in recipe if group in composed.choices and group != "trainer"}
    return {**groups, **shown, **{key: str(value) for key, value in values.items() if isinstance(value, list)}}


def default_name(composed: Composed) -> str:
    """Return `yymmdd-hhmmss-DATA-MODEL`, of the choices' names."""
    choices = [composed.choices.get(group, group) for group in ("data", "model")]
    return "-".join([now(), *choices])


def now() -> str:
    """Return the time as `yymmdd-hhmmss`, which sorts and fits TensorBoard's thirteen characters of a trial's name."""
    return time.strftime("%y%m%d-%H%M%S")


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
