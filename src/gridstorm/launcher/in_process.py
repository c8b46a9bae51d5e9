"""Jobs one after another in this process, on one worker thread."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar

from gridstorm.launcher import Launcher, P, T


class InProcess(Launcher):
    """One place: a thread. Nothing is pickled and a debugger works, but a hanging job cannot be ended."""

    can_kill: ClassVar[bool] = False

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")

    @property
    def places(self) -> int:
        """One."""
        return 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call and return at once."""
        return self._pool.submit(fn, *args, **kwargs)

    def kill(self, future: Future[T]) -> None:
        """Cancel a job that has not begun; RuntimeError where it is running."""
        if not future.cancel() and not future.done():
            raise RuntimeError("A job in this process cannot be ended by force. Use launcher=processes.")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more jobs; wait for those that run or are queued, or cancel the queued ones."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
