"""What all launchers share: an executor that says how many places it has, and how a process ended."""

import os
import pickle
import signal
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
GPUS = Path("/proc/driver/nvidia/gpus")
WORDS = {
    signal.SIGKILL: "killed by SIGKILL, often for lack of memory",
    signal.SIGSEGV: "segmentation fault (SIGSEGV)",
    signal.SIGBUS: "bus error (SIGBUS), often for lack of shared memory",
}


class Died(Exception):
    """The process of a job ended in the middle of it; `exitcode` is its exit status, or minus the signal's number."""

    def __init__(self, exitcode: int) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode

    def __str__(self) -> str:
        """Return in words how the process ended."""
        if self.exitcode >= 0:
            return f"exit status {self.exitcode}"
        try:
            number = signal.Signals(-self.exitcode)
        except ValueError:  # a real-time signal has no name
            return f"killed by signal {-self.exitcode}"
        return WORDS.get(number, f"killed by {number.name}")


class Launcher(Executor, ABC):
    """An executor in the sense of `concurrent.futures`, with a number of places and a way to end a job by force."""

    can_kill: ClassVar[bool]
    """Whether `kill` can end a job that is running."""

    @property
    @abstractmethod
    def places(self) -> int:
        """How many jobs run at a time, at least 1."""

    @property
    def sharing(self) -> int:
        """How many jobs share one memory, at least 1."""
        return self.places

    def prepare(self, preload: Sequence[str], gpu: bool = False) -> None:
        """Make ready in the background, before the first job: the modules the jobs import, whether they use GPUs."""

    @abstractmethod
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call and return at once; the future raises `Died` where the call's process ended in the middle."""

    @abstractmethod
    def kill(self, future: Future[T]) -> None:
        """End the job of a future by force, which then raises `Died`; a job that has not begun is cancelled.

        Raises:
            RuntimeError: It is running and this launcher cannot end it (`can_kill` is False).
        """


def answer_to(call: bytes) -> bytes:
    """Carry out a pickled call; return the pickled answer that `revived` reads."""
    try:
        function, args, kwargs = pickle.loads(call)
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:
        text = "".join(traceback.format_exception(error))
        try:
            whole = pickle.dumps(error)
            pickle.loads(whole)  # some exceptions are only found out here
        except Exception:
            whole = b""
        summary = "".join(traceback.format_exception_only(error)).strip()
        return pickle.dumps((False, (type(error).__module__, whole, summary, text)))


def revived(answer: bytes) -> Any:
    """Return the result or raise the exception of a call, with the worker's traceback as a note."""
    good, value = pickle.loads(answer)
    if good:
        return value
    module, whole, summary, text = value
    # An exception of torch's would import torch here, where nothing needs it.
    error = pickle.loads(whole) if whole and module in sys.modules else RuntimeError(summary)
    error.add_note(f"In the worker:\n{text}")
    raise error


def cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def uses_gpu(accelerator: str | None) -> bool:
    """Tell whether Lightning's accelerator of this name is a GPU here, as far as can be told without loading torch."""
    there = any(GPUS.glob("*")) and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and there)


def devices() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible.split(",")
    return [str(i) for i, _ in enumerate(GPUS.glob("*"))] or ["0"]
