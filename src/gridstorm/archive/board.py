"""`gridstorm board`: TensorBoard, opened at what is asked."""

import subprocess
import sys
from pathlib import Path

from gridstorm.config import MANIFEST, is_file
from gridstorm.error import Problem, UserError, say
from gridstorm.record import RunRecord, is_run, manifest, records
from gridstorm.report import time_series

PORT = 6006


def link(place: Path, port: int = PORT) -> tuple[Path, str]:
    """Return the folder that TensorBoard is to look at, and where what is asked is shown on it.

    Validation is pinned, smoothing is off, and the runs of a sweep are colored by its first key.

    Raises:
        UserError: There is no run, no sweep, and no folder of them.
    """
    if not place.is_dir():
        raise UserError([Problem(str(place), "There is no such directory.", "gridstorm ls names what there is.")])
    site = f"http://localhost:{port}/"
    if is_run(place):
        monitor = str(RunRecord(place).config.values["monitor"])
        return place.parent, site + time_series(monitor, f"^{_escaped(place.name)}$")
    if is_file(place / MANIFEST):
        about = manifest(place)
        first = next(iter(about.get("keys") or []), "")
        # Run names begin with the choice of a group, as in 001-sgd,lr=0.1.
        color = f"{_escaped(first.rpartition('.')[2])}=([^,]*)" if "." in first else "^\\d+-([^,]*)"
        return place, site + time_series(str(about.get("monitor", "val/loss")), color=color)
    if not any(place.iterdir()) or not (records(place) or any(place.glob(f"*/{MANIFEST}"))):
        raise UserError([Problem(str(place), "Nothing was trained in it.", "Name a run, a sweep or a folder of them.")])
    return place, site + time_series("val/loss")


def _escaped(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_,=-" else f"\\{letter}" for letter in text)


def board(place: Path, port: int = PORT, only_link: bool = False) -> int:
    """Start TensorBoard and say where to look, until it is stopped; return its exit status."""
    folder, address = link(place, port)
    say(address)
    if only_link:
        return 0
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", str(port)]
    return subprocess.run(command, check=False).returncode
