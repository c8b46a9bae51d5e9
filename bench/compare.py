"""What the benchmarks share: a composed configuration, medians of interleaved repetitions, and the machine in words."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gridstorm.command.compose import checked
from gridstorm.config.recipe import RunConfig

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")
ROOT = Path(__file__).resolve().parent.parent


def composed(*overrides: str) -> RunConfig:
    """Return the configuration that `python train.py OVERRIDES` would train."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        whole = compose("config", list(overrides), return_hydra_config=True)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    return checked(config, whole.hydra)


def turns(contestants: Mapping[Name, Callable[[], Value]], repetitions: int) -> dict[Name, list[Value]]:
    """Return what each contestant measures, time after time.

    They take turns, forwards and backwards, so that a busy moment of the machine hits them all.
    """
    measured: dict[Name, list[Value]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(repetitions):
        for name in reversed(names) if number % 2 else names:
            measured[name].append(contestants[name]())
    return measured


def medians(contestants: Mapping[Name, Callable[[], float]], repetitions: int) -> dict[Name, float]:
    """Return the median of what each contestant measures in its turns."""
    return {name: statistics.median(values) for name, values in turns(contestants, repetitions).items()}


def swept(
    command: Sequence[str], where: str, made: str, over: str, cells: int, threads: str | None = None
) -> tuple[float, float]:
    """Return the seconds of a sweep from its first run's start to its last one's end, and of the whole command.

    Args:
        command: The script and its arguments.
        where: The key of the directory that it writes to.
        made: A pattern for a file that is written at each run's start.
        over: One for a file that is written at its end.
        cells: How many runs there must be.
        threads: OMP_NUM_THREADS, None where it is not set.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        arguments = [sys.executable, *command, f"{where}={folder}"]
        subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True)
        whole = time.monotonic() - start
        starts, ends = ([file.stat().st_mtime for file in Path(folder).glob(pattern)] for pattern in (made, over))
    if not len(starts) == len(ends) == cells:
        raise AssertionError(f"{command[0]} began {len(starts)} cells and trained {len(ends)}, not {cells}.")
    return max(ends) - min(starts), whole


def machine(threads: str = "one thread") -> str:
    """Return one line on what the figures were measured on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}, {threads}"
