"""The files of a record: their names; written whole, held by one process, cleared of what is not finished."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import yaml

from gridstorm.config import CONFIG, MANIFEST, is_file, no_data, shapeless, unreadable_yaml
from gridstorm.error import Problem, UserError

# Of a run.
ORIGIN, ENVIRONMENT, DIFFERENCE = "origin.json", "environment.json", "code.diff"
LOGGERS = "loggers.json"  # which runs of a server a run is
POINTS, RESULT, ERROR, OUTPUT, STOP = "metrics.jsonl", "result.json", "error.txt", "output.txt", "stop"
STEPS = "steps.jsonl"  # the training loss of each step
FINDINGS = "findings.json"  # what the curves say
LAYERS = "layers.jsonl"  # what single steps did to each layer
FITTED, COLUMNS = "fitted.json", "columns.skops"  # what was fitted to the training data
CHECKPOINTS, LAST, BEST = "checkpoints", "checkpoints/last.ckpt", "checkpoints/best.ckpt"
AVERAGED = "checkpoints/averaged.ckpt"  # what stochastic weight averaging makes of a run, at its end
PROFILE = "profile"  # how the files of a profiler end
PARENT = "checkpoints/parent.ckpt"  # what a run that trains longer, or a branch, begins from
KEPT = "epoch-{}.ckpt"  # the state after an epoch, beside these, where the checkpoint callback keeps it
# Of a sweep.
TABLE, PRESET, PAGE = "results.csv", "best.yaml", "report.html"
# Of both.
LOCK = ".lock"
OF_SWEEPS = (MANIFEST, TABLE, PRESET, PAGE, LOCK)
OF_RUNS = (
    CONFIG, ORIGIN, ENVIRONMENT, DIFFERENCE, POINTS, STEPS, LAYERS, RESULT, ERROR, OUTPUT, STOP, LOCK, CHECKPOINTS,
    LAST, BEST, PARENT, AVERAGED, LOGGERS, FINDINGS, FITTED, COLUMNS,
)  # fmt: skip
FORMAT = 1  # of these files; none written means 0
TEMPORARY = ".gridstorm-"
TRIAL = f"{TEMPORARY}trial-"  # begins the name of a directory that a sweep is about to give to a run


def is_run(directory: Path) -> bool:
    """Tell whether a directory is that of a run."""
    return is_file(directory / CONFIG) and any(is_file(directory / name) for name in (ORIGIN, POINTS))


def refuse_unknown_format(file: Path, content: Mapping[str, Any]) -> None:
    """Refuse what a later Gridstorm wrote.

    Raises:
        UserError: The format is none that is known here.
    """
    if content.get("format", 0) not in range(FORMAT + 1):
        fact = f"Its format is {content['format']}, and this Gridstorm knows those up to {FORMAT}."
        raise UserError([Problem(str(file), fact, "Use the Gridstorm that wrote it, or a later one.")])


def unreadable(file: Path, reason: str) -> UserError:
    """Return the refusal of a damaged file of a record."""
    return UserError(
        [Problem(str(file), f"It cannot be read: {reason.rstrip('.')}.", "Restore it, or start a new run.")]
    )


def read_config(file: Path) -> dict[str, Any]:
    """Return the values in a record's configuration, which may come from someone else.

    Raises:
        UserError: It is none, or one that would take endless time to read.
    """
    try:
        if wrong := unreadable_yaml(file):
            raise unreadable(file, wrong[0].removeprefix(f"{file}: "))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where it is there: ten times faster
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise unreadable(file, f"{error}".partition("\n")[0]) from error
    if problems := no_data(values):
        raise UserError([replace(problem, key=str(file.parent / problem.key)) for problem in problems])
    if odd := shapeless(values):
        raise unreadable(file, f"its {odd} is none")
    return dict(values)


def write_whole(file: Path, text: str, sync: bool = False) -> None:
    """Write a file whole or not at all; with `sync` it is on the disk when this returns."""
    beside = file.with_name(f"{TEMPORARY}{file.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)  # of a process with the same number; a link there would lead elsewhere
    try:
        with beside.open("x", encoding="utf-8") as opened:
            opened.write(text)
            if sync:
                opened.flush()
                os.fsync(opened.fileno())
        beside.replace(file)
    except OSError:  # such as a full disk: nothing half written is left
        beside.unlink(missing_ok=True)
        raise


def clear(directory: Path) -> None:
    """Remove the files that a killed process left half written; only who holds the directory may do so."""
    for left in directory.glob(f"{TEMPORARY}*"):
        if left.is_file() and not left.is_symlink():
            left.unlink()


def hold(file: Path, seconds: float = 0.0) -> IO[str] | None:
    """Lock a file for this process alone until it is closed or the process ends; None where another one holds it.

    Args:
        file: It is made if it is missing.
        seconds: How long to wait for the other process to end.
    """
    import fcntl

    opened, until = open(file, "a", opener=no_link), time.monotonic() + seconds  # noqa: SIM115
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


def is_held(file: Path) -> bool:
    """Tell whether a process holds a file, which is not made for that."""
    if not file.is_file():
        return False
    try:
        lock = hold(file)
    except OSError:  # of a folder that may only be read
        return False
    if lock:
        lock.close()
    return lock is None


def misfits(directory: Path) -> dict[str, str]:
    """Return what of a run's directory cannot be written to, each with the reason."""
    reasons = {}
    for name in OF_RUNS:
        file = directory / name
        if file.is_symlink():
            reasons[name] = "is a symbolic link"
        elif file.exists() and file.is_dir() != (name == CHECKPOINTS):
            reasons[name] = "is no directory" if name == CHECKPOINTS else "is a directory"
    return reasons


def no_link(file: str, flags: int) -> int:
    """Open a file that is no symbolic link, which could lead anywhere."""
    return os.open(file, flags | os.O_NOFOLLOW, 0o666)
