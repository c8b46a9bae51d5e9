"""What is said of trainings: a line for each finding, or JSON for other tools."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from gridstorm.diagnosis.curves import Curves
from gridstorm.diagnosis.diagnose import diagnose, is_hopeless
from gridstorm.diagnosis.finding import Finding
from gridstorm.diagnosis.source import curves_in, of_record
from gridstorm.error import Problem, UserError
from gridstorm.record import RunRecord


def beyond_help(record: RunRecord, names: Collection[str], epochs: Sequence[int], most: int) -> bool:
    """Tell whether the curves of a run up to each of some epochs say that it is beyond help.

    Args:
        record: Of the run.
        names: Of the rules that say so.
        epochs: The last ones that it has trained.
        most: How many it is to train.
    """
    curves = ((of_record(record, until=epoch), most - epoch) for epoch in epochs)
    return bool(epochs) and all(each is not None and is_hopeless(each, names, left) for each, left in curves)


def verdicts(paths: Sequence[Path], as_json: bool = False) -> str:
    """Return what the curves in files and folders say, each training with its findings.

    Args:
        paths: Directories of runs or sweeps, of Lightning's loggers, CSV files or event files.
        as_json: Whether as JSON: a list with `name` and `findings`.

    Raises:
        UserError: One of them is not there, cannot be read or holds no training loss.
    """
    found = [one for path in paths for one in _of(path)]
    if as_json:
        content = [{"name": curves.name, "findings": [one.content() for one in its]} for curves, its in found]
        return json.dumps(content, indent=1)
    return "\n".join(line for curves, its in found for line in (curves.name, *(f"  {one}" for one in its)))


def _of(path: Path) -> Iterator[tuple[Curves, list[Finding]]]:
    nothing = True
    for curves in curves_in(path):
        nothing = False
        yield curves, diagnose(curves)
    if nothing:
        fact = "There is no training loss in it."
        remedy = "Name a run, a folder of Lightning's loggers, or a CSV file with a column such as train_loss."
        raise UserError([Problem(str(path), fact, remedy)])
