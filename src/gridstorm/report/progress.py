"""What is shown while a sweep runs: a live table on a terminal, a line for each run that ended everywhere else."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gridstorm.config import duration, number
from gridstorm.error import is_silent, say
from gridstorm.record import Status, Trial, TrialRun, ranked

if TYPE_CHECKING:
    from rich.table import Table


REFRESH_SECONDS = 0.25


class Display:
    """Shows how far a sweep is.

    Args:
        total: How many runs it has in all.
        places: How many of them are trained at a time.
        monitor: The name of the score.
        mode: Whether a smaller score is better (`min`), or a larger one (`max`).
    """

    def __init__(self, total: int, places: int, monitor: str, mode: str) -> None:
        self.total, self.places, self.monitor, self.mode = total, places, monitor, mode
        self._live: Any = None
        self._drawn, self._ended, self._started = 0.0, 0, time.monotonic()

    def __enter__(self) -> Self:
        if sys.stdout.isatty() and not is_silent():
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def ended(self, trial: Trial, run: TrialRun, trials: Sequence[Trial]) -> None:
        """Tell that a run is over."""
        self._ended += 1
        if not self._live:
            over = sum(run.status.is_finished for each in trials for run in each.runs)
            name = run.record.directory.name if run.record else trial.label
            say(f"{over}/{self.total}  {name}  {outcome(run)}")

    def tell(self, line: str) -> None:
        """Print a line, above the table where there is one."""
        (self._live.console.print if self._live else say)(line)

    def refresh(self, trials: Sequence[Trial]) -> None:
        """Draw the table again, at most four times a second."""
        if self._live and time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._drawn = time.monotonic()
            self._live.update(self._table(trials), refresh=True)

    def _table(self, trials: Sequence[Trial]) -> "Table":
        from rich.table import Table

        counts = Counter(run.status for trial in trials for run in trial.runs)
        over = sum(count for status, count in counts.items() if status.is_finished)
        table = Table("", "run", self.monitor, "epoch", "status", box=None, title_justify="left", title_style="bold")
        bad = sum(count for status, count in counts.items() if status.is_bad)
        table.title = (
            f"{over}/{self.total} over, {counts[Status.RUNNING]} running, {bad} failed, {self._left(over)} left"
        )
        best = [trial for trial in ranked(trials, self.mode) if trial.score is not None][:3]
        for place, trial in enumerate(best, 1):
            table.add_row(str(place), trial.label, number(trial.score), "", trial.status)
        for trial in trials:
            for run in trial.runs:
                if run.status == Status.RUNNING and run.record:
                    table.add_row("", run.record.directory.name, *_latest(run, self.monitor), "running")
        return table

    def _left(self, over: int) -> str:
        if not self._ended:
            return "?"
        return duration((time.monotonic() - self._started) / self._ended * (self.total - over))


def _latest(run: TrialRun, monitor: str) -> tuple[str, str]:
    rows = [row for row in run.record.rows() if monitor in row] if run.record else []
    return (number(rows[-1][monitor]), str(rows[-1]["epoch"])) if rows else ("", "")


def outcome(run: TrialRun) -> str:
    """Return what came out of a run in a few words."""
    result = run.result
    if result and result.status == Status.FAILED:
        return f"failed: {result.error}"
    if result is None or result.score is None:
        return f"{run.status}, without a score"
    line = f"{result.monitor} {number(result.score)} in epoch {result.best_epoch}, {result.seconds:.1f} s"
    return line if result.status == Status.DONE else f"{result.status} after {result.epochs} epochs, {line}"
