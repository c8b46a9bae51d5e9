"""What the tests of the launchers give them to do, in a module that workers can import."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn


def add(left: int, right: int) -> int:
    return left + right


def nap(seconds: float) -> tuple[float, float]:
    """Sleep and return when it began and ended."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def wait_for(file: str) -> bool:
    """Return once there is such a file, or after a minute whether there is."""
    end = time.monotonic() + 60
    while not Path(file).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return Path(file).exists()


def process(*_: Any) -> tuple[int, int]:
    """Return this process and the one that forked it."""
    return os.getpid(), os.getppid()


def environment(name: str) -> str | None:
    time.sleep(0.1)  # so that each place gets one
    return os.environ.get(name)


def modules() -> set[str]:
    return set(sys.modules)


def open_files() -> set[str]:
    return {str(file.resolve()) for file in Path("/proc/self/fd").iterdir()}


def threads_of_torch() -> int:
    import torch

    return torch.get_num_threads()


def thread() -> int:
    return threading.get_ident()


def leave(status: int) -> NoReturn:
    os._exit(status)


def die_of(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def interrupt() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def hang(note: Path, busy: bool = False) -> None:
    """Start a process, note the numbers of the two and of the one that forked this, and never come back."""
    child = subprocess.Popen(["sleep", "600"])
    note.with_suffix(".new").write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
    note.with_suffix(".new").rename(note)
    while busy:
        pass
    time.sleep(600)


class TwoArguments(Exception):
    """Pickles, and cannot be unpickled: its own arguments are lost."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def fail(kind: str) -> NoReturn:
    """Raise an exception of some kind."""
    if kind == "plain":
        raise KeyError("lr")
    if kind == "unpicklable":
        raise TwoArguments("one", "two")
    if kind == "unpicklable argument":
        raise ValueError(threading.Lock())
    import torch

    raise torch.OutOfMemoryError("too large")


def train() -> str:
    """Train a small network for some steps and return a digest of its weights."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(2)  # more than one: what a fork can break is OpenMP's pool
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 10))
    optimizer = torch.optim.AdamW(network.parameters())
    x, y = torch.randn(256, 1, 8, 8), torch.randint(10, (256,))
    for _ in range(10):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    weights = b"".join(p.detach().numpy().tobytes() for p in network.parameters())
    return hashlib.sha256(weights).hexdigest()
