"""Jobs in worker processes of this machine that stay warm: what they import is imported once, in one server.

Workers are forked from multiprocessing's forkserver. A worker leads a process group of its own, so that Ctrl-C is the
parent's alone to answer, and a job that is killed takes along what it started.
"""

import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from multiprocessing import get_context, parent_process, set_start_method
from multiprocessing.connection import Connection, wait
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from gridstorm.launcher import Died, Launcher, P, T, answer_to, cores, devices, revived

GRACE = 5.0
"""Seconds that an idle worker has to end by itself."""
ALONE = threading.Lock()
"""Held to start and to end a worker: two threads that ask multiprocessing for one exit status get it wrong."""


class Processes(Launcher):
    """Worker processes, each with its share of the cores; on a GPU machine each with one device or a part of it.

    Args:
        places: Jobs at a time; `auto` is the cores divided by `threads`, with GPUs the devices times `per_device`.
        threads: CPU threads of a worker; `auto` is its share of the cores.
        per_device: Workers that share one GPU.

    Raises:
        ValueError: A number is below 1.
    """

    can_kill: ClassVar[bool] = True

    def __init__(
        self, places: int | Literal["auto"] = "auto", threads: int | Literal["auto"] = "auto", per_device: int = 1
    ) -> None:
        for name, value in (("places", places), ("threads", threads), ("per_device", per_device)):
            if value != "auto" and value < 1:
                raise ValueError(f"launcher.{name} is {value}, and there must be at least 1.")
        self._places, self._threads, self._per_device = places, threads, per_device
        self._jobs: WeakKeyDictionary[Future[Any], Job] = WeakKeyDictionary()
        self._free: deque[Place] = deque()
        # What ends the workers: called by `shutdown`, otherwise at the end of this object or of the process.
        self._dismiss = Finalize(self, dismiss, (self._free,), exitpriority=0)
        self._furnish([__name__], [])

    @property
    def places(self) -> int:
        """How many jobs run at a time, at least 1."""
        if self._places != "auto":
            return self._places
        if self._devices:
            return len(self._devices) * self._per_device
        return max(1, cores() // (1 if self._threads == "auto" else self._threads))

    @property
    def sharing(self) -> int:
        """How many jobs share one memory, at least 1: those of one GPU, where there is one."""
        return -(-self.places // len(self._devices)) if self._devices else self.places

    @property
    def threads(self) -> int:
        """CPU threads of each worker, at least 1."""
        return max(1, cores() // self.places) if self._threads == "auto" else self._threads

    def prepare(self, preload: Sequence[str], gpu: bool = False) -> None:
        """Start importing `preload` where the workers are forked from, and return at once; before the first job."""
        self._furnish([__name__, *preload], devices() if gpu else [])
        serve_forks(self._preload, self.threads)

    def _furnish(self, preload: list[str], devices: list[str]) -> None:
        self._preload, self._devices = preload, devices
        self._pool = ThreadPoolExecutor(self.places, thread_name_prefix="place")  # its threads start with the jobs
        self._free.clear()
        for number in reversed(range(self.places)):
            self._free.append(Place(preload, self.threads, devices[number % len(devices)] if devices else None))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call of an importable function and return at once.

        The future gives the result or the exception (RuntimeError with its text where it cannot be pickled, or where
        its module is not imported here), and raises `Died` where the worker ended in the middle of the call.
        """
        job = Job(pickle.dumps((fn, args, kwargs)))
        future = self._pool.submit(self._carry_out, job)
        self._jobs[future] = job
        return future

    def _carry_out(self, job: "Job") -> Any:
        place = self._free.pop()  # as many as the pool has threads
        try:
            return place.carry_out(job)
        finally:
            self._free.append(place)

    def kill(self, future: Future[T]) -> None:
        """End the job of a future by force, and what it started with it; cancel it where it has not begun."""
        if not future.cancel():
            self._jobs[future].kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs, and end the workers after those that run or are queued, or only those that run."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._dismiss()
        else:
            threading.Thread(target=self.shutdown, name="shutdown").start()


class Job:
    """A pickled call, and the worker that is at it."""

    def __init__(self, call: bytes) -> None:
        self.call = call
        self._lock, self._killed = threading.Lock(), False
        self._worker: Worker | None = None

    def begin(self, worker: "Worker") -> None:
        """Note who is at it; a job that was killed while its worker started dies here."""
        with self._lock:
            self._worker = worker
            if self._killed:
                worker.kill()

    def end(self) -> bool:
        """Note that nobody is at it any more; return whether it was killed."""
        with self._lock:
            self._worker = None
            return self._killed

    def kill(self) -> None:
        """Kill the worker that is at it, now or once there is one."""
        with self._lock:
            self._killed = True
            if self._worker:
                self._worker.kill()


class Place:
    """A place for one worker, which is started with the first job and again after a death."""

    def __init__(self, preload: Sequence[str], threads: int, device: str | None) -> None:
        self._given = (preload, threads, device)
        self.worker: Worker | None = None

    def carry_out(self, job: Job) -> Any:
        """Return or raise what the job does; raise `Died` where its worker ends."""
        if self.worker and wait([self.worker.pipe, self.worker.sentinel], 0):
            self.leave()  # it died with no job on it: nothing else ends up in its pipe
        self.worker = self.worker or Worker(*self._given)
        job.begin(self.worker)
        try:
            answer = self.worker.ask(job.call)
        except (EOFError, OSError):
            job.end()
            raise Died(self.leave()) from None
        if job.end():  # killed just after its last line
            self.leave()
        return revived(answer)

    def leave(self, grace: float = 0.0) -> int:
        """End the worker, by force after `grace` seconds; return its exit status."""
        worker, self.worker = self.worker, None
        return worker.end(grace) if worker else 0


class Worker:
    """A process, as its parent sees it."""

    def __init__(self, preload: Sequence[str], threads: int, device: str | None) -> None:
        context = get_context("forkserver")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, threads, device), name="gridstorm worker")
        try:
            with other, ALONE, no_main():
                fork(self._process, preload, threads)
        except (EOFError, OSError) as error:
            self.pipe.close()
            raise RuntimeError(
                f"The server of worker processes ended while it imported {', '.join(preload)}. Import them in a"
                " python of your own to see why, or use launcher=in_process."
            ) from error
        assert self._process.pid is not None
        self._pid, self.sentinel = self._process.pid, self._process.sentinel

    def ask(self, call: bytes) -> bytes:
        """Return the answer to a call; EOFError or OSError where the process ends instead."""
        self.pipe.send_bytes(call)
        # The pipe alone would not do: what a dead worker started can hold its other end open.
        if self.pipe not in wait([self.pipe, self.sentinel]):
            raise EOFError
        return self.pipe.recv_bytes()

    def kill(self) -> None:
        """Kill the process and its group."""
        for end in (os.killpg, os.kill):  # the second for a process too young to lead a group
            with suppress(ProcessLookupError):
                end(self._pid, signal.SIGKILL)

    def end(self, grace: float) -> int:
        """Wait `grace` seconds for the process to end, kill what is left, and return the exit status."""
        self.pipe.close()
        wait([self.sentinel], grace)
        self.kill()
        with ALONE:
            self._process.join()
            status = self._process.exitcode
            self._process.close()
        return status or 0


def dismiss(places: Iterable[Place]) -> None:
    """End the workers of these places, all at once."""
    for place in places:
        if place.worker:
            place.worker.pipe.close()
    for place in places:
        place.leave(GRACE)


def fork(process: BaseProcess, preload: Sequence[str], threads: int) -> None:
    """Start a process from the server; EOFError or OSError where the server ends instead, twice."""
    serve_forks(preload, threads)
    try:
        process.start()
    except (EOFError, OSError):
        time.sleep(0.1)  # a server that was killed passes for alive until the system has buried it
        serve_forks(preload, threads)
        process.start()


def serve_forks(preload: Sequence[str], threads: int) -> None:
    """Start the server that workers are forked from where there is none; it imports `preload` on its own time."""
    get_context("forkserver").set_forkserver_preload(list(preload))
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # BLAS and OpenMP read it once, when they are loaded
    try:
        ensure_running()
    finally:
        del os.environ["OMP_NUM_THREADS"]
        os.environ.update({} if before is None else {"OMP_NUM_THREADS": before})


@contextmanager
def no_main() -> Iterator[None]:
    """Keep multiprocessing from running this process's script again in each worker, for functions that it may hold."""
    main = sys.modules["__main__"]
    before, main.__spec__ = main.__spec__, ModuleSpec("__main__", None)
    try:
        yield
    finally:
        main.__spec__ = before


def work(pipe: Connection, threads: int, device: str | None) -> None:
    """Be a worker: carry out the calls that come through the pipe until it is closed."""
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Without this line what a job starts would come from a server too, which imports torch anew for each process: a
    # DataLoader's workers would take half a minute, and all that they hold would have to be pickled.
    set_start_method(None, force=True)
    threading.Thread(target=die_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    with suppress(EOFError, OSError):
        while True:
            pipe.send_bytes(answer_to(pipe.recv_bytes()))


def die_with_parent() -> None:
    """Kill this worker and its group as soon as the parent is gone, whatever the job is at."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)
