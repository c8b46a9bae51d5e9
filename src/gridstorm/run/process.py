"""The process in which a run trains: its threads and its signals."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from gridstorm.error import stopped_by
from gridstorm.objects import num_parameters

SMALL = 300_000  # parameters up to which a second thread costs more than it gives (bench/threads.py)


def threads(count: int | str, network: nn.Module) -> None:
    """Set torch's CPU threads; `auto` is one for a small model, otherwise what torch chose."""
    small = num_parameters(network) <= SMALL
    if count != "auto":
        torch.set_num_threads(int(count))
    elif small:
        torch.set_num_threads(1)


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Turn Ctrl-C and SIGTERM into KeyboardInterrupt and yield the list in which their number then stands."""
    stopped: list[int] = []

    def stop(number: int, frame: Any) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    with stopped_by(stop):
        yield stopped
