"""A run's directory: all there is to know of one training, written so that a crash leaves no half file.

What is not finished has a name that begins with `.gridstorm-`; docs/record.md says what its
files hold, who writes them, and what is deleted.
"""

import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from gridstorm.config import (
    CONFIG,
    METRICS,
    RunConfig,
    checked_again,
    default_name,
    is_file,
    misnamed,
    task_of,
)  # fmt: skip
from gridstorm.error import Problem, UserError
from gridstorm.record.file import (
    BEST,
    CHECKPOINTS,
    ENVIRONMENT,
    ERROR,
    FINDINGS,
    FORMAT,
    LAST,
    LAYERS,
    LOCK,
    ORIGIN,
    POINTS,
    RESULT,
    STEPS,
    STOP,
    TEMPORARY,
    TRIAL,
    clear,
    hold,
    is_held,
    misfits,
    read_config,
    refuse_unknown_format,
    unreadable,
    write_whole,
)  # fmt: skip  # fmt: skip
from gridstorm.record.point import COUNTERS, points_after
from gridstorm.record.result import Result, Status, best_name, finite

if TYPE_CHECKING:
    from gridstorm.record.tensorboard import EventFile

HELD_SECONDS = 10.0  # how long a process that was killed may take to end
NOTES: dict[str, type] = {"overrides": list, "choices": dict, "origins": dict, "written": dict}


class RunRecord:
    """One run's directory. Make one with `create`, read one with `Record(directory)`."""

    def __init__(self, directory: Path, fresh: bool = False) -> None:
        """Take the directory of a run; `fresh` where it was made just now.

        Raises:
            UserError: There is no run in `directory`.
        """
        self.directory, self.fresh = directory, fresh
        if not is_file(directory / CONFIG):
            fact = "There is no run in this directory (no config.yaml)."
            raise UserError([Problem(str(directory), fact, "Name the directory that a run printed at its end.")])
        self.warnings: list[str] = []  # for its result, of what is wrong with the record itself
        self._metrics: Any = None
        self._events: EventFile | None = None
        self._lock: IO[str] | None = None

    @classmethod
    def create(
        cls, parent: Path, name: str | None, config: RunConfig, command: str, trial: Mapping[str, Any] | None = None
    ) -> "RunRecord":
        """Make the directory `parent/name` (`name-2` and so on where it is taken) with all that is known at the start.

        It appears complete: the files are written to a hidden directory, which is renamed. A ValueError: a wrong name.

        Args:
            parent: The folder for the directory.
            name: Its name; None takes the time, the data and the model.
            config: The configuration.
            command: What was typed.
            trial: Of a sweep's run: the trial's number, its values and the like.
        """
        if misnamed("name", chosen := name or default_name(config)):
            raise ValueError(f"{chosen!r} is not the name of one directory.")
        hidden = parent / f"{TRIAL if trial else TEMPORARY}{secrets.token_hex(8)}"
        try:
            (hidden / CHECKPOINTS).mkdir(parents=True)
        except OSError as error:
            fact = f"The directory cannot be written ({error.strerror})."
            raise UserError([Problem(str(parent), fact, "Give another output_dir.")]) from error
        try:
            return cls(cls._filled(hidden, parent, chosen, config, command, trial), fresh=True)
        except OSError:  # such as a full disk, which is told by whoever started this
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    @staticmethod
    def _filled(
        hidden: Path, parent: Path, chosen: str, config: RunConfig, command: str, trial: Mapping[str, Any] | None
    ) -> Path:
        """Write the first files of a run to a hidden directory, give it its name, and return that."""
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, where it is there: ten times faster
        (hidden / CONFIG).write_text(yaml.dump(config.values, Dumper=dumper, sort_keys=False))
        origin = {
            "format": FORMAT,
            "command": command,
            "signature": config.signature,
            "trial": trial,
            "overrides": config.overrides,
            "choices": config.choices,
            "note": config.values.get("note"),
            "tags": config.values.get("tags") or [],
            "origins": config.origins,
            "written": config.written,
        }
        (hidden / ORIGIN).write_text(json.dumps(origin, indent=1))
        for number in count(1):
            directory = parent / (chosen if number == 1 else f"{chosen}-{number}")
            try:
                hidden.rename(directory)
                return directory
            except OSError:  # taken: a run's directory is never empty, and rename replaces only empty ones
                if not os.path.lexists(directory):
                    raise
        raise AssertionError("There is always a next number.")

    @cached_property
    def config(self) -> RunConfig:
        """The configuration with which the run was started."""
        config, origin = read_config(self.directory / CONFIG), self.origin
        noted = {name: origin.get(name, kind()) for name, kind in NOTES.items()}
        if odd := [name for name, kind in NOTES.items() if not isinstance(noted[name], kind)]:
            raise unreadable(self.directory / ORIGIN, f"its {odd[0]} are none")
        return RunConfig(config, **noted)

    @property
    def checked_config(self) -> RunConfig:
        """The configuration, checked as if it came from someone else; a UserError names its file."""
        try:
            return checked_again(self.config)
        except UserError as refusal:
            file = str(self.directory / CONFIG)
            named = [
                problem
                if problem.key.startswith(str(self.directory))
                else replace(problem, key=f"{file}: {problem.key}")
                for problem in refusal.problems
            ]
            raise UserError(named) from refusal

    @property
    def is_over(self) -> bool:
        """Whether the run has ended: its result is written last."""
        return (self.directory / RESULT).exists()

    @property
    def result(self) -> Result | None:
        """What came out, None while the run is not over."""
        if not self.is_over:
            return None
        try:
            return Result.read(self._section(RESULT))
        except (TypeError, ValueError) as error:
            raise unreadable(self.directory / RESULT, "something is missing in it") from error

    @property
    def origin(self) -> dict[str, Any]:
        """Where the run came from: command, overrides, signature, and of a sweep's run what its trial is.

        Raises:
            UserError: A later Gridstorm made the record.
        """
        origin = self._section(ORIGIN)
        refuse_unknown_format(self.directory / ORIGIN, origin)
        return origin

    def _section(self, name: str) -> dict[str, Any]:
        content = self._read(name, json.loads)
        if not isinstance(content, dict):
            raise unreadable(self.directory / name, "it is no section")
        return content

    def _read(self, name: str, parse: Callable[[str], Any]) -> Any:
        """Return what a file of the record holds; a UserError names the file that cannot be read."""
        try:
            return parse((self.directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise unreadable(self.directory / name, f"{error}".partition("\n")[0]) from error

    @property
    def begun(self) -> bool:
        """Whether training was ever started."""
        return (self.directory / ENVIRONMENT).is_file()

    @property
    def environment(self) -> dict[str, Any]:
        """What the numbers may depend on beside the recipe; empty for a run that has not begun."""
        return self._section(ENVIRONMENT) if self.begun else {}

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best score, None where there is none."""
        return self._file(BEST)

    @property
    def last_checkpoint(self) -> Path | None:
        """The checkpoint from which the run can go on, None where there is none."""
        return self._file(LAST)

    def _file(self, name: str) -> Path | None:
        file = self.directory / name
        return file if file.is_file() else None

    def rows(self) -> list[dict[str, Any]]:
        """Return the points of the curves, oldest first; a line that a crash cut short is left out."""
        return points_after(self.directory / POINTS, 0, whole=False)[0]

    def rows_after(self, place: int) -> tuple[list[dict[str, Any]], int]:
        """Return the whole lines of metrics.jsonl that begin at a byte or after it, and the byte at which they end."""
        return points_after(self.directory / POINTS, place)

    def stops_after(self, epochs: int) -> str | None:
        """Return why the run is asked to stop after so many epochs (`pruned`); None if it is to go on."""
        file = self.directory / STOP
        asked = json.loads(file.read_text()) if file.is_file() else None
        return str(asked["why"]) if asked and epochs >= asked["epochs"] else None

    def ask_to_stop(self, why: str, epochs: int = 0) -> None:
        """Ask the run to stop at the end of its epoch, or after so many epochs, wherever it is trained."""
        self.write(STOP, json.dumps({"why": why, "epochs": epochs}))

    def reopen(self, anew: bool = False) -> None:
        """Let a run that is over go on from its last checkpoint, or with `anew` from its start.

        Raises:
            UserError: Another process trains it.
        """
        held = self._lock
        self.hold(seconds=0.0)
        names = [RESULT, STOP, ERROR, FINDINGS]
        names += [POINTS, STEPS, LAYERS, LAST, BEST] if anew else []
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
        if self._lock and not held:
            self._lock.close()
            self._lock = None

    def hold(self, seconds: float | None = None) -> None:
        """Keep every other process from training this run, until this one closes it or ends.

        Raises:
            UserError: Another process trains it, or one of its files is a symbolic link.
        """
        if wrong := misfits(self.directory):
            facts = {name: f"It {reason}, where the record has a file of its own." for name, reason in wrong.items()}
            remedy = "Put the file itself in its place."
            raise UserError([Problem(str(self.directory / name), fact, remedy) for name, fact in facts.items()])
        self._lock = self._lock or hold(self.directory / LOCK, HELD_SECONDS if seconds is None else seconds)
        if self._lock is None:
            fact, remedy = "Another process trains this run.", "Wait until it is over, or stop that process."
            raise UserError([Problem(str(self.directory), fact, remedy)])

    @property
    def is_held(self) -> bool:
        """Whether some process trains this run now."""
        return is_held(self.directory / LOCK)

    def begin(self, step: int, environment: Mapping[str, Any]) -> None:
        """Start writing: forget the points after `step`, and make TensorBoard's view of the others."""
        from gridstorm.record.tensorboard import EventFile, written_by_us

        self.write(ENVIRONMENT, json.dumps(environment, indent=1))
        (self.directory / RESULT).unlink(missing_ok=True)
        kept = [row for row in self.rows() if row["step"] <= step]
        self.write(POINTS, "".join(json.dumps(row) + "\n" for row in kept))
        for old in written_by_us(self.directory):
            old.unlink(missing_ok=True)  # the view is made anew
        for place in (self.directory, self.directory / CHECKPOINTS):
            clear(place)
        self._metrics = (self.directory / POINTS).open("a")
        self._events = EventFile(self.directory)
        self._introduce(environment)
        for row in kept:
            self._show(row)
        self._events.flush()

    def _introduce(self, environment: Mapping[str, Any]) -> None:
        """Write what TensorBoard shows of a run beside its curves: hyperparameters, configuration, charts."""
        from gridstorm.record.tensorboard import hyperparameters, markdown

        config, origin = self.config, self.origin
        trial = {"name": self.directory.name, "values": ()} | (origin.get("trial") or {})  # its runs are one row
        group = f"{trial['name']}/{self.directory.parent.resolve().name}"  # its first 13 characters are shown
        self.events.hparams(hyperparameters(config, trial["values"]), group, environment["started"])
        text = markdown((self.directory / CONFIG).read_text(), "yaml")
        self.events.text("config", f"{markdown(origin.get('command', ''), 'sh')}\n\n{text}")
        names = METRICS.get(environment.get("task") or task_of(config.values) or "", {})
        self.events.charts({"train against validation": {name: [f"train/{name}", f"val/{name}"] for name in names}})

    @property
    def events(self) -> "EventFile":
        """The event file, once the run has begun."""
        assert self._events is not None, "RunRecord.begin was not called"
        return self._events

    def log(self, counters: Mapping[str, float], values: Mapping[str, float]) -> None:
        """Add one point to the curves.

        Args:
            counters: `step` of the optimizer, `epoch` from 1, `samples` seen in training, `seconds` of training.
            values: The metrics. A value that is not finite is null in metrics.jsonl, whose lines are strict JSON.
        """
        row = {**counters, **{name: finite(value) for name, value in values.items()}}
        self._metrics.write(json.dumps(row, allow_nan=False) + "\n")
        self._metrics.flush()
        self._show({**counters, **values})

    def _show(self, row: Mapping[str, Any]) -> None:
        """Pass a row on to TensorBoard, against samples seen: so runs with other batch sizes compare."""
        shown = {name: math.nan if value is None else value for name, value in row.items() if name not in COUNTERS}
        self.events.scalars(int(row["samples"]), shown)

    def finish(self, result: Result) -> None:
        """Write result.json, last and at once, and close TensorBoard's session with the true status."""
        self.events.session_end("failure" if result.status.is_bad else "success")
        self._conclude(result)
        self.close()

    def _conclude(self, result: Result) -> None:
        self.write(RESULT, json.dumps(result.content(), indent=1), sync=True)

    def fail(self, error: str, trace: str = "") -> None:
        """Write down that the run failed, where its own process could not say so any more.

        Raises:
            UserError: Another process trains it.
        """
        self.hold(seconds=1.0)
        try:
            self._fail(error, trace)
        finally:
            self.close()

    def _fail(self, error: str, trace: str) -> None:
        from gridstorm.record.tensorboard import EventFile

        rows, config = self.rows(), self.config.values
        scores = [score for row in rows if (score := row.get(best_name(config["monitor"]))) is not None]
        last = rows[-1] if rows else {"epoch": 0, "seconds": 0.0, "samples": 0}
        self.write(ERROR, trace or error)
        result = Result(
            signature=self.config.signature,
            status=Status.FAILED,
            monitor=config["monitor"],
            mode=config["mode"],
            score=scores[-1] if scores else None,
            epochs=int(last["epoch"]),
            seconds=last["seconds"],
            error=error,
        )
        with EventFile(self.directory) as events:
            events.scalars(int(last["samples"]), {"fit/ok": 0.0})
            events.session_end("failure")
        self._conclude(result)

    def close(self) -> None:
        """Close the files of a run that ends or is interrupted."""
        for file in filter(None, (self._metrics, self._events, self._lock)):
            with suppress(OSError):  # a full disk was told when a point was written; the lock is let go in any case
                file.close()
        self._lock = None

    def discard(self) -> None:
        """Remove the directory of a run that was made just now, and refused before its first point."""
        self.close()
        if self.fresh and not self.rows():
            shutil.rmtree(self.directory)

    def write(self, name: str, text: str, sync: bool = False) -> None:
        """Write a file whole or not at all; with `sync` it is on the disk when this returns."""
        write_whole(self.directory / name, text, sync)
