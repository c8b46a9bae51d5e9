"""What a key that is not there may have been meant to be."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.config import MAPPINGS, OF_RUNS, as_written, keys
from gridstorm.error import MANY, Problem, closest
from gridstorm.target import command, find

Choices = Mapping[str, Sequence[str]]
ABSENT = object()


def misplaced_key(
    config: DictConfig, override: Override, choices: Callable[[], Choices], folders: Sequence[Path]
) -> Problem | None:
    """Return what is wrong with the key of an override, None where it has its place in `config`.

    Args:
        config: What the choices compose to.
        override: The override.
        choices: Returns the names in each group; asked where something is wrong.
        folders: Where the choices' files are.
    """
    text, key = str(override.input_line), override.key_or_group
    parent, _, name = key.rpartition(".")
    present, holder = _get(config, key) is not ABSENT, _get(config, parent)
    if holder is not ABSENT and not present and not isinstance(holder, DictConfig):
        return Problem(text, f"{parent} is one value, and has no {name!r} in it.", f"Write {parent}=VALUE.")
    if override.is_add() or override.is_force_add():
        taken = present and override.is_add() and not isinstance(override.value(), list | dict)
        return Problem(text, f"{key} is there already.", f"Write {text.lstrip('+')}.") if taken else None
    if present:
        return None
    taker = _taker(holder, name) or _read_by_the_run(config, key)
    if taker and not override.is_delete():
        return Problem(text, f"{taker} takes it, but its section does not list it.", f"Write +{text}.")
    return Problem(text, f"There is no key {key!r}.", _remedy(config, key, text.partition("=")[2], choices(), folders))


def _remedy(config: DictConfig, key: str, value: str, choices: Choices, folders: Sequence[Path]) -> str:
    (section, _, rest), parent = key.partition("."), key.rpartition(".")[0]
    candidates = [*keys(as_written(config)), *choices]
    meant: list[str] = next(filter(None, _meant(key, value.partition(",")[0], candidates, choices)), [])
    others = [f"{section}={name}" for name in choices.get(section, ()) if rest and _lists(folders, section, name, rest)]
    if others and not any(key.rpartition(".")[0] == parent for key in meant):
        return f"Choose {' or '.join(others)}, which {'has' if len(others) == 1 else 'have'} it."
    if meant:
        return f"Did you mean {' or '.join(map(repr, meant))}?"
    beside = [key for key in candidates if key.rpartition(".")[0] == parent]
    return f"Choose one of: {', '.join(beside)}." if 0 < len(beside) <= MANY else f"See {command('--help')}."


def _meant(key: str, value: str, candidates: Sequence[str], choices: Choices) -> Iterator[list[str]]:
    """Yield guesses, the likeliest first; an empty one is none."""
    parent, _, name = key.rpartition(".")
    beside = {key.rpartition(".")[2]: key for key in candidates if key.rpartition(".")[0] == parent}
    lasts = {key.rpartition(".")[2]: key for key in reversed(candidates)}
    close = [beside[match] for match in closest(name, beside)]
    yield [f"{key}={value}" for key in close if value in choices.get(key, ())]
    yield close
    yield [f"{group}={value}" for group, names in choices.items() if not parent and value in names]
    yield [key for key in candidates if key.rpartition(".")[2] == name]
    yield [] if beside else closest(key, candidates)
    yield [lasts[match] for match in closest(name, lasts)]


def _get(config: DictConfig, key: str) -> Any:
    """Return the value at a dotted key, ABSENT where there is none."""
    if not key:
        return config
    parent, _, name = key.rpartition(".")
    holder = _get(config, parent)
    if isinstance(holder, ListConfig) and name.isdigit() and int(name) < len(holder):
        return holder[int(name)]
    if not isinstance(holder, DictConfig) or name not in holder.keys():  # noqa: SIM118  # `in` leaves out what is missing
        return ABSENT
    try:
        return None if OmegaConf.is_missing(holder, name) else holder[name]
    except (OmegaConfBaseException, RecursionError):  # it follows another key that is not there
        return None


def _taker(holder: Any, name: str) -> str | None:
    """Return the class whose section `holder` is, if it takes an argument `name`."""
    path = _get(holder, "_target_") if isinstance(holder, DictConfig) else ABSENT
    target = None if path is ABSENT else find(str(path))
    if target and target.signature().get(name):
        return target.name
    return None


def _read_by_the_run(config: DictConfig, key: str) -> str | None:
    """Return who takes a key that the run itself reads in a section, such as `data.batch.x`."""
    section, name = [*key.split("."), ""][:2]
    holder = _get(config, section)
    is_read = name in OF_RUNS.get(section, {}) and holder is not ABSENT
    return "The run" if is_read or (section in MAPPINGS and holder == {}) else None


def _lists(folders: Sequence[Path], group: str, choice: str, key: str) -> bool:
    """Tell whether a choice's own file has a key, looking at the key's first name alone."""
    files = [folder / group / f"{choice}.yaml" for folder in folders]
    texts = [file.read_text(errors="replace") for file in files if file.is_file()]
    return any(re.search(rf"^{re.escape(key.partition('.')[0])}:", text, re.MULTILINE) for text in texts)
