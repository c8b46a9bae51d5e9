"""Arrays in files: NPZ and NPY, without pickle."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridstorm.data._frame import checked


def arrays_in(path: str, key: str = "data.path") -> list[str]:
    """Return the names of the arrays in an NPZ file, none for an NPY file. Raises ValueError where it is neither."""
    content = _opened(path, key)
    return [*content.files] if isinstance(content, np.lib.npyio.NpzFile) else []


def _opened(path: str, key: str) -> Any:
    try:
        return np.load(checked(path, key), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        if str(error).startswith(key):
            raise
        raise ValueError(f"{key}={path} cannot be read: it is no NPZ file of plain arrays. Give one.") from error


def array_in(path: str, name: str, key: str = "data.path") -> NDArray[Any]:
    """Return an array of a file.

    Args:
        path: An NPZ file, or an NPY file, which holds one array without a name.
        name: Of the array.
        key: What gave the path, for the words of a refusal.

    Raises:
        ValueError: It cannot be read, has no such array, or that has no samples or holds what is no finite number.
    """
    content = _opened(path, key)
    try:
        array = content[name] if isinstance(content, np.lib.npyio.NpzFile) else content
    except KeyError as error:
        listed = ", ".join(content.files) or "nothing"
        raise ValueError(f"{key}={path}: It has no array {name!r}. It has {listed}.") from error
    except Exception as error:  # of whatever a file that is none makes of it
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(f"{key}={path} cannot be read ({reason}). Give an NPZ file of plain arrays.") from error
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise ValueError(f"{key}={path}: {name!r} is {array.dtype}, and no numbers. Give an array of numbers.")
    if not len(array):
        raise ValueError(f"{key}={path}: {name!r} has no samples. Give an array with some.")
    if array.dtype.kind == "f" and (lost := np.argwhere(~np.isfinite(array))).size:
        fact = f"{len(lost)} numbers of {name!r} are not finite, the first at {lost[0].tolist()}."
        raise ValueError(f"{key}={path}: {fact} Fill them, or leave their samples out.")
    return np.asarray(array)
