"""What is warned of while a run trains: what is noted in its result, and the little that is no news."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gridstorm.error import said

T = TypeVar("T")
LIBRARIES = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric")


# Warnings that are no news to a user, by the beginning of their text; every other one is shown.
QUIET = {
    "The `srun` command is available": "of a cluster that is not asked for",
    "The '\\w+_dataloader' does not have many workers": "data that are held in memory need none",
    "The number of training batches \\(\\d+\\) is smaller than the logging interval": "each epoch ends with a point",
    "Checkpoint directory .* exists and is not empty": "a run goes on in its own directory",
    "Attribute '\\w+' is an instance of `nn.Module`": "it is in a checkpoint once, and no hyperparameter there",
    "GPU available but not used": "it was asked for",
    "`precision=.*` is supported for historical reasons": "16 means 16-mixed",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated": "Lightning's use of torch, and no number's",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's remarks on devices and folders off the screen, and of warnings those of QUIET alone."""
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for text in QUIET:
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def warned() -> Iterator[list[str]]:
    """Yield the list of what is warned of inside, each once; it is shown as well."""
    messages: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            text = f"{category.__name__}: {message}"
            if text not in messages:
                messages.append(text)
                show(message, category, *place, **more)

        warnings.showwarning = note
        yield messages


def tried(loss: str, function: Callable[..., T], *arguments: Any) -> T | None:
    """Return what a function returns that comes after the training; what it raises is a warning and costs no result."""
    try:
        return function(*arguments)
    except Exception as error:
        warnings.warn(f"{loss}: {said(error)}", RuntimeWarning, stacklevel=2)
        return None
