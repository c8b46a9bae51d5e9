"""The files and folders that a configuration names, and what stands for their content."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gridstorm.config.limit import WEIGHTS, is_file

FOLDERS = ("root", "path", "dir", "data_dir", "folder", "directory")  # keys whose text may be a folder's name alone
SMALL = 2**26  # bytes of a folder up to which its files are read; of a larger one their times count


def named_files(node: Any) -> dict[str, str]:
    """Return each file that stands anywhere in a plain configuration, with a digest of its content."""
    return {text: digest(Path(text)) for text in sorted({*_paths(node)})}


def digest(file: Path) -> str:
    """Return twelve hexadecimal digits that name a file's content, read once until the file is written again."""
    state = file.stat()
    return _digest(file.resolve(), state.st_size, state.st_mtime_ns)


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def weights_file(text: str) -> Path | None:
    """Return the checkpoint that a file's or a run's name stands for, None where there is none."""
    return next((file for file in (Path(text), *(Path(text, name) for name in WEIGHTS)) if is_file(file)), None)


def named_folders(node: Any, key: str = "") -> Iterator[str]:
    """Yield each folder that stands anywhere in a plain configuration: a path, or a name under a key such as `root`."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from named_folders(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from named_folders(value, key)
    elif isinstance(node, str) and ("/" in node or key in FOLDERS) and _is_folder(Path(node)):
        yield node


def digest_of_folder(folder: Path) -> str:
    """Return twelve hexadecimal digits for a folder: its files' names and sizes, and their contents or their times."""
    files = {file: file.stat() for file in sorted(folder.rglob("*")) if file.is_file()}
    small = sum(state.st_size for state in files.values()) <= SMALL
    told = [
        (str(file.relative_to(folder)), state.st_size, digest(file) if small else state.st_mtime_ns)
        for file, state in files.items()
    ]
    return hashlib.sha256(str(told).encode()).hexdigest()[:12]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # too long, or with a zero byte in it
        return False


def _paths(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _paths(value)
    elif isinstance(node, str) and is_file(Path(node)):
        yield node
