"""Arrays in files: NPZ and NPY, without pickle."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridstorm.data._frame import checked


def array_in(path: str, name: str, shape: tuple[int, ...] | None = None, key: str = "data.path") -> NDArray[Any]:
    """Return an array of a file.

    Args:
        path: An NPZ file, or an NPY file, which holds one array without a name.
        name: Of the array.
        shape: Of one of its samples, None where any will do.
        key: What gave the path, for the words of a refusal.

    Raises:
        ValueError: It cannot be read, has no such array, or one of another shape.
    """
    file = checked(path, key)
    try:
        content = np.load(file, allow_pickle=False)
        array = content[name] if isinstance(content, np.lib.npyio.NpzFile) else content
    except KeyError as error:
        listed = ", ".join(content.files) or "nothing"
        raise ValueError(f"{key}={path}: It has no array {name!r}. It has {listed}.") from error
    except Exception as error:  # of whatever a file that is none makes of it
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(f"{key}={path} cannot be read ({reason}). Give an NPZ file of plain arrays.") from error
    if array.dtype.kind not in "fiub" or not array.ndim:
        raise ValueError(f"{key}={path}: {name!r} is {array.dtype}, and no numbers. Give an array of numbers.")
    if shape is not None and array.shape[1:] != shape and array.shape != shape:
        raise ValueError(f"{key}={path}: {name!r} is {[*array.shape]}. Give [N, {', '.join(map(str, shape))}].")
    return np.asarray(array)
