"""The loop of a sweep: a free place gets the next run at once; what came out is read from the runs' directories."""

import os
import signal
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridstorm.config import duration
from gridstorm.error import UserError, said, stopped_by
from gridstorm.launcher import Died, Launcher
from gridstorm.record import (
    Result,
    RunRecord,
    Status,
    Trial,
    TrialRun,
    create,
    curve,
    ended_badly,
    reopen,
    write_manifest,
)
from gridstorm.report import Display
from gridstorm.sweeper import job
from gridstorm.sweeper.grouping import Fusing, Queued
from gridstorm.sweeper.queue import TrialQueue
from gridstorm.target import at_work, within

MANIFEST_SECONDS = 1.0
POLL_SECONDS = 0.2
PRUNING_POLL_SECONDS = 0.02  # an epoch of a small model takes as long


@dataclass
class Launch:
    """Runs that a worker trains together, mostly one.

    Args:
        members: The runs, each with its trial.
        started: When they were handed over, on the monotonic clock.
        read: For each run the bytes of its metrics that were read.
        late: Whether it was ended for the time that it took.
    """

    members: list[Queued]
    started: float = field(default_factory=time.monotonic)
    read: dict[int, int] = field(default_factory=dict)
    late: bool = False


class Engine:
    """Trains what a queue gives.

    Args:
        directory: The sweep's.
        queue: What is to be trained.
        launcher: Where.
        retries: How often a run is tried again whose process died.
        timeout: Seconds after which a run is ended, None for never.
        about: What the manifest holds beside the trials.
        fusing: Which runs are trained together.
    """

    def __init__(
        self,
        directory: Path,
        queue: TrialQueue,
        launcher: Launcher,
        *,
        retries: int = 0,
        timeout: float | None = None,
        about: Mapping[str, Any] | None = None,
        fusing: Fusing | None = None,
    ) -> None:
        self.directory, self.queue, self.launcher = directory, queue, launcher
        self.retries, self.timeout, self.about = retries, timeout, about or {}
        self.fusing = fusing or Fusing()
        self.again: deque[list[Queued]] = deque()
        self.waiting: list[Queued] = []
        self.busy: dict[Future[None], Launch] = {}
        self.signals: list[int] = []
        self.width = max(2, len(str(max([queue.total, *(trial.number for trial in queue.trials)]))))
        self._noted = 0.0

    def run(self, display: Display) -> int:
        """Train all of it; return 0, 1 if a run failed, or 130 or 143 where a signal stopped it."""
        with stopped_by(lambda number, _: self._signal(number, display)):
            while True:
                self._fill()
                self._note()
                if not self.busy:
                    break
                self._wait(display)
        self._note(at_once=True)
        return 128 + self.signals[0] if self.signals else int(ended_badly(self.queue.trials) > 0)

    def _fill(self) -> None:
        """Give every free place a job."""
        while len(self.busy) < self.launcher.places and not self.signals and (members := self._next()):
            ready = [(member, record) for member in members if (record := self._ready(*member))]
            if ready:
                directories = [str(record.directory) for _, record in ready]
                planned = [run.config.signature for (_, run), _ in ready]
                self.busy[self.launcher.submit(within, at_work(), job.carry_out, directories, planned)] = Launch(
                    [pair for pair, _ in ready]
                )

    def _next(self) -> list[Queued]:
        """Return the runs of the next job: some whose process died, or new ones that can be trained together."""
        if self.again:
            return self.again.popleft()
        while len(self.waiting) < self.fusing.horizon and (job := self.queue.next()):
            self.waiting.append(job)
        busy = sum(run.running for launch in self.busy.values() for _, run in launch.members)
        members = self.fusing.group(self.waiting, self.launcher.places, busy)
        for member in members:
            self.waiting.remove(member)
        return members

    def _ready(self, trial: Trial, run: TrialRun) -> RunRecord | None:
        """Return the directory of a run that is about to be handed over; None where another process trains it."""
        trial.number = trial.number or 1 + max(trial.number for trial in self.queue.trials)
        limit = self.queue.limit(trial, run)
        try:
            reopen(run)
        except UserError as refusal:
            run.result = self._failed(run, said(refusal))
            self.queue.ended(trial, run)
            return None
        record = run.record = run.record or create(self.directory, trial, run, self.width)
        if limit:
            record.ask_to_stop(Status.PRUNED, limit)
        run.running = True
        return record

    def _wait(self, display: Display) -> None:
        """Wait for a job to end, and look at the others meanwhile."""
        poll = PRUNING_POLL_SECONDS if self.queue.prunes else POLL_SECONDS
        over, _ = wait(self.busy, timeout=poll, return_when=FIRST_COMPLETED)
        for future in over:
            self._end(self.busy.pop(future), future, display)
        for future, launch in self.busy.items():
            for number, (trial, run) in enumerate(launch.members):
                self._follow(launch, number, trial, run)
                self._look(trial, run, display)
            if self.timeout and not launch.late and time.monotonic() - launch.started > self.timeout:
                launch.late = True
                self.launcher.kill(future)
        display.refresh(self.queue.trials)

    def _look(self, trial: Trial, run: TrialRun, display: Display) -> None:
        """Take up a run that is over before the others of its job."""
        if run.running and run.record and run.record.is_over:
            run.running = False
            run.refresh()
            display.ended(trial, run, self.queue.trials)
            self.queue.ended(trial, run)

    def _follow(self, launch: Launch, number: int, trial: Trial, run: TrialRun) -> None:
        """Report a run's new points, and ask it to stop where it is not worth going on."""
        if not self.queue.prunes or run is not trial.runs[0] or run.record is None or not run.running:
            return
        rows, launch.read[number] = run.record.rows_after(launch.read.get(number, 0))
        cut = [self.queue.report(trial, *point) for point in curve(rows, run.config)]
        if any(cut):
            run.record.ask_to_stop(Status.PRUNED)

    def _end(self, launch: Launch, future: "Future[None]", display: Display) -> None:
        """Take up what came out of a job, or try again where its process died."""
        for number, (trial, run) in enumerate(launch.members):
            self._follow(launch, number, trial, run)
            self._look(trial, run, display)
        left = [(trial, run) for trial, run in launch.members if run.running]
        for _, run in left:
            run.running = False
        if not left or len(self.signals) > 1:
            return
        error = None if future.cancelled() else future.exception()
        message = f"timeout: it took longer than {duration(self.timeout or 0)}" if launch.late else f"{error}"
        if len(launch.members) > 1:  # which of them it was is found by halves
            half = -(-len(left) // 2)
            self.again.extend(members for members in (left[:half], left[half:]) if members)
            display.tell(f"{len(left)} runs  {message}; trying again in halves")
            return
        [(trial, run)] = left
        if isinstance(error, Died) and not launch.late and run.attempts < self.retries:
            run.attempts += 1
            self.again.append(left)
            display.tell(f"{run.record.directory.name if run.record else ''}  {error}; trying again")
            return
        self._fail(run, f"died: {error}" if isinstance(error, Died) and not launch.late else message)
        display.ended(trial, run, self.queue.trials)
        self.queue.ended(trial, run)

    def _fail(self, run: TrialRun, error: str) -> None:
        """Write down that a run failed whose process could not."""
        assert run.record is not None
        try:
            run.record.fail(error)
            run.refresh()
        except (OSError, UserError) as full:  # such as a full disk, or a record that was damaged meanwhile
            run.result = self._failed(run, error if said(full) in error else f"{error} ({said(full)})")

    @staticmethod
    def _failed(run: TrialRun, error: str) -> Result:
        """Return the result of a run whose own record cannot be written."""
        values = run.config.values
        return Result(status=Status.FAILED, monitor=values["monitor"], mode=values["mode"], error=error)

    def _note(self, at_once: bool = False) -> None:
        """Write the manifest, at most once a second."""
        if at_once or time.monotonic() - self._noted > MANIFEST_SECONDS:
            write_manifest(self.directory, self.queue.trials, self.about)
            self._noted = time.monotonic()

    def _signal(self, number: int, display: Display) -> None:
        """Let the first Ctrl-C end the sweep after the runs at work, a second one or SIGTERM stop these too."""
        self.signals += [number] if number == signal.SIGINT else [number, number]
        if len(self.signals) > 1:
            self._stop()
            return
        running = sum(len(launch.members) for launch in self.busy.values())
        now = "Press Ctrl-C again to stop them now; they can be resumed."
        display.tell(f"Stopping when the {running} running runs finish. {now}")

    def _stop(self) -> None:
        """End what runs, by force: a run goes on from its last epoch."""
        if not self.launcher.can_kill:
            self._note(at_once=True)
            os._exit(128 + self.signals[0])
        for future in [*self.busy]:
            self.launcher.kill(future)
