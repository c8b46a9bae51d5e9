"""What a worker does for a sweep: train runs in their directories.

Importing this file loads no torch: a sweep names these functions in a process that never trains.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gridstorm.config import RunConfig
from gridstorm.error import Problem, UserError, said
from gridstorm.record import OUTPUT, RunRecord, no_link

PRELOAD = ("gridstorm.sweeper.preload",)  # what is imported once for all workers


def carry_out(directories: Sequence[str], planned: Sequence[str]) -> None:
    """Train the runs in these directories, several as one stacked model, each from its last checkpoint if it has one.

    Whatever comes out is in the directories; an exception is that run's failure and no one else's.

    Args:
        directories: Of the runs.
        planned: The signature of each, which what its record says is to have.
    """
    from gridstorm.objects import quiet
    from gridstorm.run import train

    records = [RunRecord(Path(directory)) for directory in directories]
    with output_to(records[0].directory / OUTPUT), quiet():
        if len(records) > 1:
            from gridstorm.fusion import train_together

            for record, signature in zip(records, planned, strict=True):
                as_planned(record, signature)
            train_together(records)
            return
        [record] = records
        try:
            train(as_planned(record, planned[0]), lambda: record, alone=False)
        except Exception as error:
            record.close()  # or nobody could write down the failure where this process cannot
            record.fail(said(error), traceback.format_exc())


def as_planned(record: RunRecord, signature: str) -> RunConfig:
    """Return what is to be trained in a directory, checked again.

    Raises:
        UserError: It is wrong, or it is not what was planned.
    """
    config = record.checked_config
    if config.signature != signature:
        fact = "It is not the configuration that was planned."
        raise UserError([Problem(str(record.directory / "config.yaml"), fact, "Restore it, or remove the directory.")])
    return config


@contextmanager
def output_to(file: Path) -> Iterator[None]:
    """Let all that a worker process prints, and the libraries in it, go to a file."""
    if multiprocessing.parent_process() is None:
        yield
        return
    kept = {stream: os.dup(stream.fileno()) for stream in (sys.__stdout__, sys.__stderr__) if stream}
    with open(file, "a", opener=no_link) as opened:
        for stream in kept:
            os.dup2(opened.fileno(), stream.fileno())
    try:
        yield
    finally:
        for stream, number in kept.items():
            stream.flush()
            os.dup2(number, stream.fileno())
            os.close(number)
        if not file.stat().st_size:
            file.unlink()
