"""A sweep that was trained: its trials, the best of them, and its table."""

from pathlib import Path
from typing import Any

from gridstorm.config import brief
from gridstorm.library.run import Run
from gridstorm.library.view import frame, html
from gridstorm.record import Trial, ranked, trials_in
from gridstorm.report import best, results, swept


class Sweep:
    """A sweep, read from its directory: nothing in it is changed, and nothing that it names is imported."""

    def __init__(self, directory: str | Path) -> None:
        """Take the directory of a sweep.

        Raises:
            UserError: There is none in it, or a record is damaged.
        """
        self.directory = Path(directory)
        self._trials = trials_in(self.directory)
        values = self._trials[0].runs[0].config.values if self._trials else {}
        self.monitor, self.mode = str(values.get("monitor", "")), str(values.get("mode", "min"))

    @property
    def trials(self) -> list[Trial]:
        """Its trials that were started, the best score first: each with number, values, score, status and runs."""
        return ranked(self._trials, self.mode)

    @property
    def best(self) -> Run | None:
        """The run of the best trial, the first of them where it has several seeds; None where none has a score."""
        trial = best(self._trials, self.mode)
        return Run(trial.runs[0].record.directory) if trial and trial.runs[0].record else None

    def table(self) -> Any:
        """Return a row for each run, those of the best trial first, as in results.csv.

        It is a pandas DataFrame where pandas is installed, and a list of dictionaries elsewhere.
        """
        columns, rows = results(self._trials, self.mode)
        return frame([{name: row.get(name) for name in columns} | {"status": str(row["status"])} for row in rows])

    def __repr__(self) -> str:
        """Return its directory and the number of its trials."""
        return f"Sweep({str(self.directory)!r}, {len(self._trials)} trials)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the trials, the best score first."""
        keys = swept(self._trials)
        rows = [
            (trial.number, *(brief(trial.values.get(key)) for key in keys), trial.score, trial.status)
            for trial in self.trials
        ]
        return html(repr(self), [("trial", *keys, self.monitor, "status"), *rows])
