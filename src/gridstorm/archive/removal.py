"""`gridstorm rm` and `gridstorm mv`: what is ours of a record, and nothing else, is thrown away or renamed."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gridstorm.archive.entry import entries, entry_of
from gridstorm.config import CONFIG, MANIFEST, is_file, misnamed
from gridstorm.error import Problem, UserError
from gridstorm.record import (
    CHECKPOINTS,
    LOCK,
    OF_RUNS,
    OF_SWEEPS,
    RunRecord,
    Status,
    is_held,
    is_run,
    manifest,
    records,
    trials_in,
    write_whole,
    written_by_us,
)
from gridstorm.report import best, report

UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Removal:
    """Files that are to be removed.

    Args:
        directory: Of a run or a sweep.
        files: Its files that are to go, all of them ours.
        kept: How many other files stay.
    """

    directory: Path
    files: Sequence[Path]
    kept: int = 0

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(file.lstat().st_size for file in self.files)

    def __str__(self) -> str:
        kept = f", {self.kept} files of others stay" if self.kept else ""
        return f"{self.directory}: {len(self.files)} files, {written(self.size)}{kept}"


def written(size: float) -> str:
    """Return a number of bytes in words."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {UNITS[unit]}"


def removals(paths: Sequence[Path], failed: bool, checkpoints: bool) -> list[Removal]:
    """Return what would be removed.

    Args:
        paths: Runs and sweeps; with `failed` or `checkpoints` also folders of them.
        failed: Only runs that failed or diverged.
        checkpoints: Only the checkpoints of a sweep's runs that are over and are not its best trial's.

    Raises:
        UserError: A path is no record of ours, is a link, or a process works in it.
    """
    found = [removal for path in paths for removal in _of(path, failed, checkpoints)]
    if busy := [one.directory for one in found if is_held(one.directory / LOCK)]:
        raise UserError([Problem(str(place), "A process works in it.", "Wait until it is over.") for place in busy])
    return [one for one in found if one.files]


def _of(path: Path, failed: bool, checkpoints: bool) -> Iterator[Removal]:
    if path.is_symlink():
        raise UserError([Problem(str(path), "It is a link.", "Name the directory that it leads to.")])
    if not path.is_dir():
        raise UserError([Problem(str(path), "There is no such directory.", "gridstorm ls names what there is.")])
    if checkpoints:
        yield from _checkpoints(path)
    elif failed:
        runs = [path] if is_run(path) else [record.directory for record in _runs(path)]
        yield from (_whole(run) for run in runs if (entry := entry_of(run)) and entry.is_bad)
    elif is_run(path) or "trials" in manifest(path):
        yield from (_whole(record.directory) for record in (() if is_run(path) else records(path)))
        yield _whole(path)
    else:
        fact, remedy = "It is neither a run nor a sweep.", "Name those in it, or add --failed or --checkpoints."
        raise UserError([Problem(str(path), fact, remedy)])


def _runs(folder: Path) -> list[RunRecord]:
    """Return the runs in a folder, and those of the sweeps in it."""
    if is_file(folder / MANIFEST):
        return records(folder)
    sweeps = [entry.directory for entry in entries(folder) if entry.kind == "sweep"]
    return [record for place in (folder, *sweeps) for record in records(place)]


def _whole(directory: Path) -> Removal:
    """Return all of a run or a sweep that is ours; what a link leads to is not."""
    names = OF_RUNS if is_run(directory) else OF_SWEEPS
    of_us = [directory / name for name in names]
    of_us += written_by_us(directory)
    of_us += [*(directory / CHECKPOINTS).glob("*.ckpt")] if not (directory / CHECKPOINTS).is_symlink() else []
    files = [file for file in dict.fromkeys(of_us) if file.is_file() and not file.is_symlink()]
    others = [file for file in directory.rglob("*") if file.is_file() and file not in files]
    inside = [record.directory for record in records(directory)]
    return Removal(directory, files, sum(not any(file.is_relative_to(run) for run in inside) for file in others))


def _checkpoints(path: Path) -> Iterator[Removal]:
    """Return the checkpoints that no table needs: of a sweep, all but those of its best trial."""
    sweeps = [path] if is_file(path / MANIFEST) else [one.directory for one in entries(path) if one.kind == "sweep"]
    for sweep in sweeps:
        trials = trials_in(sweep)
        winner = best(trials, str(manifest(sweep).get("mode", "min")))
        for run in (run for trial in trials if trial is not winner for run in trial.runs):
            if run.record and run.status.is_finished:
                files = [file for file in (run.record.directory / CHECKPOINTS).glob("*.ckpt") if not file.is_symlink()]
                yield Removal(run.record.directory, files)


def remove(found: Sequence[Removal]) -> str:
    """Remove files and the directories that are empty then, and return what was done."""
    size = sum(one.size for one in found)
    for one in found:
        for file in one.files:
            file.unlink(missing_ok=True)
        for place in (one.directory / CHECKPOINTS, one.directory):
            if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
                place.rmdir()
    return f"Removed {sum(len(one.files) for one in found)} files, {written(size)}."


def move(source: Path, name: str) -> str:
    """Give a run or a sweep another name, with all that names it, and return what it is called now.

    Raises:
        UserError: It is neither, a process works in it, or the name is taken or none.
    """
    if not is_run(source) and "trials" not in manifest(source):
        raise UserError([Problem(str(source), "There is no run and no sweep.", "gridstorm ls names what there is.")])
    if source.is_symlink() or is_held(source / LOCK):
        fact = "It is a link." if source.is_symlink() else "A process works in it."
        raise UserError([Problem(str(source), fact, "Name the directory, once nothing works in it.")])
    target = source.resolve().parent / Path(name).name
    asked = Path(name) if Path(name).is_absolute() or len(Path(name).parts) > 1 else target
    if misnamed("name", target.name) or asked.resolve().parent != target.parent:
        raise UserError([Problem(name, "It is not the name of a directory beside it.", "Give one name.")])
    if target.exists():
        raise UserError([Problem(str(target), "There is something of this name.", "Give another name.")])
    source.rename(target)
    if is_run(target):
        _rename_run(target, source.name)
    else:
        _rename_sweep(target, source.name)
    return f"{source} is {source.parent / target.name} now."


def _rename_run(directory: Path, before: str) -> None:
    """Let a run's configuration have its new name, where it was given one."""
    file = directory / CONFIG
    lines = file.read_text(encoding="utf-8").splitlines()
    named = [f"name: {directory.name}" if line == f"name: {before}" else line for line in lines]
    if named != lines:
        write_whole(file, "\n".join(named) + "\n")


def _rename_sweep(directory: Path, before: str) -> None:
    """Let a sweep's manifest, its command, its table and its page have its new name."""
    about = manifest(directory)
    command = str(about.get("command", ""))
    words = command.replace(f"sweep.name={before}", f"sweep.name={directory.name}")
    if "sweep.name=" not in words and words:
        words += f" sweep.name={directory.name}"
    write_whole(directory / MANIFEST, json.dumps({**about, "name": directory.name, "command": words}, indent=1))
    trials = trials_in(directory)
    if any(run.status == Status.DONE for trial in trials for run in trial.runs):
        report(directory, trials, str(about.get("monitor", "val/loss")), str(about.get("mode", "min")))
