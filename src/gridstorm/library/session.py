"""Work that leaves the process as it was: what a command may keep until it ends, a script or a notebook may not."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gridstorm.command import hydra_as_it_was
from gridstorm.error import Problem, UserError, silent
from gridstorm.target import entered, project_at, refresh

_at_work = threading.Lock()


@contextmanager
def composing() -> Iterator[None]:
    """Be in the project of the working directory, and leave Hydra's global state as it was."""
    changed = refresh()
    if loaded := [str(file) for file in changed if file in imported_files()]:
        words = (
            f"{loaded[0]} has changed since it was imported here: unless it was reloaded, the older code is trained."
        )
        warnings.warn(words, RuntimeWarning, stacklevel=4)
    with hydra_as_it_was(), entered(project_at(Path.cwd())):
        yield


def imported_files() -> set[Path]:
    """Return the sources of the modules that are loaded."""
    names = [getattr(module, "__file__", None) for module in [*sys.modules.values()]]
    return {Path(name) for name in names if name}


@contextmanager
def training(verbose: bool) -> Iterator[None]:
    """Train what is asked for, alone in this process, and leave the process as it was.

    Args:
        verbose: Whether to say what a command would: the hyperparameters, a progress bar, the result.

    Raises:
        UserError: Another training is at work in this process.
        KeyboardInterrupt: Ctrl-C stopped it; it can go on.
    """
    if not _at_work.acquire(blocking=False):
        fact = "Another training is at work in this process."
        remedy = "Wait until it is over, or train several at once with gridstorm.sweep(...)."
        raise UserError([Problem("gridstorm", fact, remedy)])
    try:
        with ExitStack() as stack:
            stack.enter_context(composing())
            if not verbose:
                stack.enter_context(silent())
            stack.enter_context(_process_as_it_was())
            yield
    except SystemExit as stopped:  # which is how a command ends
        if stopped.code != 128 + signal.SIGINT and not isinstance(stopped.__context__, KeyboardInterrupt):
            raise
        raise KeyboardInterrupt from None
    finally:
        _at_work.release()


@contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Restore the environment, torch's threads and switches, and all random numbers."""
    import torch

    from gridstorm.run import draw_on, drawn

    environment, numbers = {**os.environ}, drawn()
    threads, switches = torch.get_num_threads(), _switches(torch)
    try:
        yield
    finally:
        draw_on(numbers)
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(switches[0], warn_only=switches[1])
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = switches[2:]


def _switches(torch: Any) -> tuple[bool, bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )
