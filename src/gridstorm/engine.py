"""The loop of a sweep: a free place gets the next run at once; what came out is read from the runs' directories."""

import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridstorm import job
from gridstorm.display import Display
from gridstorm.history import create, ended_badly, reopen, write_manifest
from gridstorm.launcher import Died, Launcher
from gridstorm.preflight import duration
from gridstorm.proposals import Planned, curve
from gridstorm.trial import Run, Trial

MANIFEST_SECONDS = 1.0
POLL_SECONDS = 0.2
PRUNING_POLL_SECONDS = 0.02  # an epoch of a small model takes as long


@dataclass
class Job:
    """A run that a worker has.

    Args:
        trial: The run's trial.
        run: The run.
        started: When it was handed over, on the monotonic clock.
        read: Bytes of its metrics that were read.
        late: Whether it was ended for the time that it took.
    """

    trial: Trial
    run: Run
    started: float = field(default_factory=time.monotonic)
    read: int = 0
    late: bool = False


class Engine:
    """Trains what proposals give.

    Args:
        directory: The sweep's.
        proposals: What is to be trained.
        launcher: Where.
        retries: How often a run is tried again whose process died.
        timeout: Seconds after which a run is ended, None for never.
        told: What the manifest holds beside the trials.
    """

    def __init__(
        self,
        directory: Path,
        proposals: Planned,
        launcher: Launcher,
        *,
        retries: int = 0,
        timeout: float | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        self.directory, self.proposals, self.launcher = directory, proposals, launcher
        self.retries, self.timeout, self.told = retries, timeout, told or {}
        self.again: deque[tuple[Trial, Run]] = deque()
        self.busy: dict[Future[None], Job] = {}
        self.signals: list[int] = []
        self.width = max(2, len(str(max([proposals.total, *(trial.number for trial in proposals.trials)]))))
        self._noted = 0.0

    def run(self, display: Display) -> int:
        """Train all of it; return 0, 1 if a run failed, or 130 or 143 where a signal stopped it."""
        with self._signals(display):
            while True:
                self._fill()
                self._note()
                if not self.busy:
                    break
                self._wait(display)
        self._note(at_once=True)
        return 128 + self.signals[0] if self.signals else int(ended_badly(self.proposals.trials) > 0)

    def _fill(self) -> None:
        """Give every free place a run."""
        while len(self.busy) < self.launcher.places and not self.signals and (found := self._next()):
            trial, run = found
            limit = self.proposals.limit(trial, run)
            reopen(run)
            if run.record is None:
                run.record = create(self.directory, trial, run, self.width)
            if limit:
                run.record.ask_to_stop("pruned", limit)
            run.running = True
            self.busy[self.launcher.submit(job.carry_out, [str(run.record.directory)])] = Job(trial, run)

    def _next(self) -> tuple[Trial, Run] | None:
        """Return a run that died, or the next one; its trial has a number then."""
        found = self.again.popleft() if self.again else self.proposals.next()
        if found and not found[0].number:
            found[0].number = 1 + max(one.number for one in self.proposals.trials)
        return found

    def _wait(self, display: Display) -> None:
        """Wait for a run to end, and look at the others meanwhile."""
        poll = PRUNING_POLL_SECONDS if self.proposals.pruning else POLL_SECONDS
        over, _ = wait(self.busy, timeout=poll, return_when=FIRST_COMPLETED)
        for future in over:
            self._end(self.busy.pop(future), future, display)
        for future, one in self.busy.items():
            self._follow(one)
            if self.timeout and not one.late and time.monotonic() - one.started > self.timeout:
                one.late = True
                self.launcher.kill(future)
        display.refresh(self.proposals.trials)

    def _follow(self, one: Job) -> None:
        """Report a run's new points, and ask it to stop where it is not worth going on."""
        if not self.proposals.pruning or one.run is not one.trial.runs[0] or one.run.record is None:
            return
        rows, one.read = one.run.record.rows_after(one.read)
        cut = [self.proposals.report(one.trial, *point) for point in curve(rows, one.run.composed)]
        if any(cut):
            one.run.record.ask_to_stop("pruned")

    def _end(self, one: Job, future: "Future[None]", display: Display) -> None:
        """Take up what came out of a run whose job is over, or try again where its process died."""
        run, record = one.run, one.run.record
        assert record is not None
        self._follow(one)
        run.running = False
        run.refresh()
        error = None if future.cancelled() else future.exception()
        if not run.result and len(self.signals) < 2:
            if isinstance(error, Died) and not one.late and run.attempts < self.retries:
                run.attempts += 1
                self.again.append((one.trial, run))
                display.tell(f"{record.directory.name}  {error}; trying again")
                return
            late = f"timeout: it took longer than {duration(self.timeout or 0)}"
            record.fail(late if one.late else f"died: {error}" if isinstance(error, Died) else f"{error}")
            run.refresh()
        display.ended(one.trial, run, self.proposals.trials)
        self.proposals.ended(one.trial, run)

    def _note(self, at_once: bool = False) -> None:
        """Write the manifest, at most once a second."""
        if at_once or time.monotonic() - self._noted > MANIFEST_SECONDS:
            write_manifest(self.directory, self.proposals.trials, self.told)
            self._noted = time.monotonic()

    @contextmanager
    def _signals(self, display: Display) -> Iterator[None]:
        """Let the first Ctrl-C end the sweep after the runs at work, a second one or SIGTERM stop these too."""

        def stop(number: int, frame: Any) -> None:
            self.signals += [number] if number == signal.SIGINT else [number, number]
            if len(self.signals) == 1:
                display.tell(f"Stopping after {len(self.busy)} running; Ctrl-C again stops them too, resumable.")
            else:
                self._stop()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        """End what runs, by force: a run goes on from its last epoch."""
        if not self.launcher.can_kill:
            self._note(at_once=True)
            os._exit(128 + self.signals[0])
        for future in [*self.busy]:
            self.launcher.kill(future)
