"""The tables that scikit-learn carries, read without importing it, which takes a sixth of a start that trains."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Table = tuple[NDArray[Any], NDArray[Any]]


def carried(name: str, read: Callable[[Path], Table], **options: bool) -> Table:
    """Return measurements [N, D] and targets [N] of a data set.

    Args:
        name: What scikit-learn calls it.
        read: Reads it from the folder that holds the files.
        options: Of scikit-learn's own loader, which is asked where the files are elsewhere.
    """
    spec = find_spec("sklearn")  # which imports nothing
    try:
        return read(Path(str(spec and spec.origin)).parent / "datasets" / "data")
    except OSError:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(return_X_y=True, **options)  # type: ignore[no-any-return]
