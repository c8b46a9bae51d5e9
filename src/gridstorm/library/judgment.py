"""What curves say, from Python."""

from pathlib import Path

from gridstorm.diagnosis import Finding, curves_in
from gridstorm.diagnosis import diagnose as judged


def diagnose(path: str | Path) -> dict[str, list[Finding]]:
    """Return what the curves in a file or folder say, for each training by its name; `healthy` where nothing is wrong.

    Args:
        path: The directory of a run or a sweep, of Lightning's loggers, a CSV file with a column such as `train_loss`,
            or an event file of TensorBoard.

    Raises:
        UserError: It is not there, or cannot be read.
    """
    return {curves.name: judged(curves) for curves in curves_in(Path(path))}
