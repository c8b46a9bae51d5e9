"""Reading a checkpoint: tensors and plain values, never code."""

import errno
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gridstorm.error import UserError
from gridstorm.record import RunRecord, unreadable

DAMAGED = "damaged.ckpt"


def loaded(file: Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and plain values, never code.

    Raises:
        UserError: It is damaged, or holds something else.
    """
    content = _content(file)
    if not isinstance(content, dict) or "state_dict" not in content:
        raise unreadable(file, "it holds no weights")
    return content


def tensors(file: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint, or in a file of nothing else.

    Raises:
        UserError: It is damaged, or holds something else.
    """
    content = _content(file)
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    weights = {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise unreadable(file, "it holds no weights")
    return weights


def _content(file: Path) -> Any:
    try:
        return torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:  # whose text advises to load it all the same
        raise unreadable(file, "it is damaged, or holds more than tensors and plain values") from error
    except OSError as error:
        raise unreadable(file, f"{error.strerror}") from error
    except Exception as error:  # whatever torch meets in what is no checkpoint
        raise unreadable(file, "it is empty, cut short or otherwise damaged") from error


def last_state(record: RunRecord) -> dict[str, Any] | None:
    """Return what the last checkpoint of a run holds, None where there is none.

    A damaged one is put aside and said to be, so that the run goes on from the best one, or from its start.

    Raises:
        UserError: The file is there and whole, as far as one can tell, but this process may not read it.
    """
    last, best = record.last_checkpoint, record.best_checkpoint
    if last is None:
        return None
    state, reason = _read(last)
    if not reason:
        return state
    last.replace(last.with_name(DAMAGED))
    state = _read(best)[0] if best else None
    whole = best if state and ends_an_epoch(state) else None
    if whole:
        shutil.copyfile(whole, last)
    start = "the best checkpoint" if whole else "the start"
    record.warnings.append(f"{reason} It was renamed to {DAMAGED}, and the run goes on from {start}.")
    print(record.warnings[-1], file=sys.stderr, flush=True)
    return state if whole else None


def _read(file: Path) -> tuple[dict[str, Any] | None, str]:
    """Return what a checkpoint holds, or None and why it is damaged."""
    try:
        return loaded(file), ""
    except UserError as refusal:
        cause = refusal.__cause__
        if isinstance(cause, OSError) and cause.errno != errno.EINVAL:  # torch's, of a file that was cut short
            raise
        return None, f"{file}: {refusal.problems[0].fact}"


def ends_an_epoch(state: dict[str, Any]) -> bool:
    """Tell whether a run can go on from a checkpoint: the best may be of a validation within an epoch."""
    progress = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    return bool(progress["is_last_batch"])


def is_plain(value: Any) -> bool:
    """Tell whether a value can be read from a checkpoint without running code."""
    return not [*not_plain(value)]


def not_plain(value: Any, key: str = "") -> Iterator[str]:
    """Yield the places of what is neither a tensor nor plain."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from not_plain(item, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple | set):
        for number, item in enumerate(value):
            yield from not_plain(item, f"{key}.{number}")
    elif not (value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.Tensor)) and not (
        isinstance(value, torch.Size | torch.dtype | torch.device)
    ):
        yield f"{key} ({type(value).__name__})"
