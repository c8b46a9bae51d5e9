"""Reading a checkpoint: tensors and plain values, never code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from gridstorm.record import unreadable


def loaded(file: Path) -> dict[str, Any]:
    """Return what a checkpoint holds: tensors and plain values, never code.

    Raises:
        UserError: It is damaged, or holds something else.
    """
    try:
        content = torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:  # whose text advises to load it all the same
        raise unreadable(file, "it is damaged, or holds more than tensors and plain values") from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise unreadable(file, f"{error}".partition("\n")[0]) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise unreadable(file, "it holds no weights")
    return content
