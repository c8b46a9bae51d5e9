"""A composed configuration as plain values, and which of them are copies of others (`seed: ${seed}`)."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.error import Problem, closest, did_you_mean

COPY = re.compile(r"\$\{(\.*[A-Za-z_][\w.-]*)\}")  # an interpolation of one other key
MISSING = object()


def resolve(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """Return `config` as plain values, null where one is missing or cannot be resolved, and those problems."""
    plain: Any
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True), []  # type: ignore[return-value]
    except (OmegaConfBaseException, RecursionError):
        slow = _OneByOne(as_written(config))
        plain = slow.plain(config, slow.written, "")
        return plain, slow.problems


class _OneByOne:
    """Resolves value by value, and notes what cannot be: OmegaConf itself stops at the first."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        self.written, self.problems = written, list[Problem]()

    def plain(self, node: Any, written: Any, key: str) -> Any:
        """Return a node as plain values; `written` is the same with interpolations as their texts."""
        if isinstance(node, ListConfig):
            return [self._child(node, written, number, f"{key}.{number}") for number in range(len(node))]
        if isinstance(node, DictConfig):
            return {name: self._child(node, written, name, f"{key}.{name!s}".lstrip(".")) for name in node}
        return node

    def _child(self, node: Any, written: Any, name: Any, key: str) -> Any:
        text = written if isinstance(written, str) else written[name]  # a text stands for the whole section
        if OmegaConf.is_missing(node, name):
            self.problems.append(Problem(key, "It must be given, and has no default.", f"Write {key}=VALUE."))
            return None
        try:
            return self.plain(node[name], text, key)
        except (OmegaConfBaseException, RecursionError) as error:
            self.problems.append(_unresolved(f"{key}={text}", error, keys(self.written)))
            return None


def as_written(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain values, interpolations as their texts."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return plain  # type: ignore[no-any-return]


def _unresolved(text: str, error: Exception, names: Iterator[str]) -> Problem:
    reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error).strip().splitlines()[0])
    reason = reason.partition(" expecting ")[0].strip('".')
    missing = re.search(r"Interpolation key '(.+)' not found", reason)
    close = closest(missing[1], names) if missing else []
    remedy = did_you_mean(missing[1], close) if missing and close else "Name what is there, or give a value."
    return Problem(text, f"It cannot be resolved: {reason}.", remedy)


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every value of a plain configuration; a list is one value."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def keys(written: Mapping[str, Any], key: str = "") -> Iterator[str]:
    """Yield the dotted key of every section and value, without Hydra's own and without `_target_` and its like."""
    for name, child in written.items():
        if not str(name).startswith("_") and (key or name != "hydra"):
            dotted = f"{key}.{name!s}" if key else str(name)
            yield dotted
            if isinstance(child, Mapping):
                yield from keys(child, dotted)


def no_data(config: Any) -> list[Problem]:
    """Return what is wrong with what was read from a record, where it is not a section of plain values."""
    try:
        json.dumps(config)
    except (TypeError, ValueError, RecursionError) as error:
        return [
            Problem("config.yaml", f"It holds more than plain values ({error}).", "Restore it, or start a new run.")
        ]
    is_plain = isinstance(config, dict) and all(isinstance(key, str) for key in config)
    return [] if is_plain else [Problem("config.yaml", "It is no configuration.", "Restore it, or start a new run.")]


def interpolated(config: DictConfig) -> dict[str, Any]:
    """Return the keys that are written as interpolations, or as lists with some in them, each as it is written."""
    return {key: value for key, value in leaves(as_written(config)) if "${" in str(value)}


def copies(config: DictConfig) -> dict[str, str]:
    """Return the keys that are written `${other.key}`, each with the key where the value itself is written."""
    named = {key: COPY.fullmatch(str(text)) for key, text in interpolated(config).items()}
    others = {key: _absolute(key, match[1]) for key, match in named.items() if match}
    sources = {key: original(other, others) for key, other in others.items()}
    return {key: other for key, other in sources.items() if key != other and _is_there(config, other)}


def _absolute(key: str, name: str) -> str:
    """Return the key that a name stands for where it is written: `.x` stands beside it, `..x` one section up."""
    dots = len(name) - len(name.lstrip("."))
    parents = key.split(".")[:-dots] if dots else []
    return ".".join([*parents, name.lstrip(".")])


def _is_there(config: DictConfig, key: str) -> bool:
    try:
        return OmegaConf.select(config, key, default=MISSING) is not MISSING
    except (OmegaConfBaseException, RecursionError):
        return False


def plainly_written(config: DictConfig, copied: Mapping[str, str]) -> bool:
    """Tell whether every interpolation in `config` is among `copied`: none computes its value from several others."""
    return interpolated(config).keys() <= copied.keys()


def original(key: str, copied: Mapping[str, str], seen: frozenset[str] = frozenset()) -> str:
    """Return the key at which the value of `key` is written: `seed` for `data.seed`, itself for most and in circles."""
    for place, other in copied.items():
        if key not in seen and (key == place or key.startswith(f"{place}.")):
            return original(other + key.removeprefix(place), copied, seen | {key})
    return key
