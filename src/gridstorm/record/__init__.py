"""What a run and a sweep leave behind: the only code that knows their files."""

from typing import TYPE_CHECKING, Any

from gridstorm.record.branch import begin, parent_of, run_of, states
from gridstorm.record.environment import code, environment, uncommitted
from gridstorm.record.file import (
    AVERAGED,
    BEST,
    CHECKPOINTS,
    COLUMNS,
    DIFFERENCE,
    ERROR,
    FINDINGS,
    FITTED,
    FORMAT,
    LAST,
    LOCK,
    LOGGERS,
    OF_RUNS,
    OF_SWEEPS,
    OUTPUT,
    PAGE,
    PARENT,
    POINTS,
    PRESET,
    PROFILE,
    RESULT,
    TABLE,
    is_held,
    is_run,
    no_link,
    unreadable,
    write_whole,
)
from gridstorm.record.layer import LayerFile, layers
from gridstorm.record.point import COUNTERS
from gridstorm.record.result import Result, Status, best_name, is_number
from gridstorm.record.run import RunRecord
from gridstorm.record.step import StepFile, steps
from gridstorm.record.sweep import (
    KnownRun,
    SweepRecord,
    create,
    ended_badly,
    latest,
    manifest,
    read,
    records,
    reopen,
    state,
    to_go,
    trials_in,
    write_manifest,
)
from gridstorm.record.trial import Trial, TrialRun, curve, first_curve, half_width, ranked

if TYPE_CHECKING:
    from gridstorm.record.tensorboard import EventFile, markdown, written_by_us

__all__ = [
    "AVERAGED",
    "BEST",
    "CHECKPOINTS",
    "COLUMNS",
    "COUNTERS",
    "DIFFERENCE",
    "ERROR",
    "FINDINGS",
    "FITTED",
    "FORMAT",
    "LAST",
    "LOCK",
    "LOGGERS",
    "OF_RUNS",
    "OF_SWEEPS",
    "OUTPUT",
    "PAGE",
    "PARENT",
    "POINTS",
    "PRESET",
    "PROFILE",
    "RESULT",
    "TABLE",
    "EventFile",
    "KnownRun",
    "LayerFile",
    "Result",
    "RunRecord",
    "Status",
    "StepFile",
    "SweepRecord",
    "Trial",
    "TrialRun",
    "begin",
    "best_name",
    "code",
    "create",
    "curve",
    "ended_badly",
    "environment",
    "first_curve",
    "half_width",
    "is_held",
    "is_number",
    "is_run",
    "latest",
    "layers",
    "manifest",
    "markdown",
    "no_link",
    "parent_of",
    "ranked",
    "read",
    "records",
    "reopen",
    "run_of",
    "state",
    "states",
    "steps",
    "to_go",
    "trials_in",
    "uncommitted",
    "unreadable",
    "write_manifest",
    "write_whole",
    "written_by_us",
]


def __getattr__(name: str) -> Any:
    """Load TensorBoard's messages where they are asked for: they take longer to import than all else here."""
    if name in ("EventFile", "markdown", "written_by_us"):
        from gridstorm.record import tensorboard

        return getattr(tensorboard, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
