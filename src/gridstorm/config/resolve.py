"""A composed configuration as plain values, and which of them are copies of others (`seed: ${seed}`)."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.error import Problem, closest, did_you_mean


def resolve(config: DictConfig) -> tuple[dict[str, Any], list[Problem]]:
    """Return `config` as plain values, null where one is missing or cannot be resolved, and those problems."""
    problems: list[Problem] = []
    plain: Any
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError):
        plain = _plain(config, "", problems)
    return plain, problems


def _plain(node: Any, key: str, problems: list[Problem]) -> Any:
    if isinstance(node, ListConfig):
        return [_child(node, number, f"{key}.{number}", problems) for number in range(len(node))]
    if isinstance(node, DictConfig):
        return {name: _child(node, name, f"{key}.{name!s}".lstrip("."), problems) for name in node}
    return node


def _child(node: Any, name: Any, key: str, problems: list[Problem]) -> Any:
    if OmegaConf.is_missing(node, name):
        problems.append(Problem(key, "It must be given, and has no default.", f"Write {key}=VALUE."))
        return None
    try:
        return _plain(node[name], key, problems)
    except (OmegaConfBaseException, RecursionError) as error:
        problems.append(_unresolved(f"{key}={node._get_node(name)._value()}", error, node._get_root()))
        return None


def _unresolved(given: str, error: Exception, root: Any) -> Problem:
    reason = re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error).strip().splitlines()[0])
    reason = reason.partition(" expecting ")[0].strip('".')
    missing = re.search(r"Interpolation key '(.+)' not found", reason)
    close = closest(missing[1], keys(root)) if missing else []
    remedy = did_you_mean(missing[1], close) if missing and close else "Name what is there, or give a value."
    return Problem(given, f"It cannot be resolved: {reason}.", remedy)


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every value of a plain configuration; a list is one value."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


def keys(config: DictConfig) -> Iterator[str]:
    """Yield the dotted key of every section and value, without Hydra's own and without `_target_` and its like."""

    def visit(node: Any, key: str) -> Iterator[str]:
        content = node._content if isinstance(node, DictConfig) else None
        for name, child in content.items() if isinstance(content, dict) else ():
            if not str(name).startswith("_") and (key or name != "hydra"):
                dotted = f"{key}.{name!s}" if key else str(name)
                yield dotted
                yield from visit(child, dotted)

    return visit(config, "")


def no_data(config: Any) -> list[Problem]:
    """Return what is wrong with what was read from a record, where it is not a section of plain values."""
    try:
        json.dumps(config)
    except (TypeError, ValueError, RecursionError) as error:
        return [
            Problem("config.yaml", f"It holds more than plain values ({error}).", "Restore it, or start a new run.")
        ]
    known = isinstance(config, dict) and all(isinstance(key, str) for key in config)
    return [] if known else [Problem("config.yaml", "It is no configuration.", "Restore it, or start a new run.")]


def copies(config: DictConfig) -> dict[str, str]:
    """Return the keys that are written `${other.key}`, each with that other key."""
    found: dict[str, str] = {}

    def visit(node: Any, key: str) -> None:
        if node._is_interpolation():
            try:
                found[key] = node._dereference_node()._get_full_key(None)
            except (OmegaConfBaseException, RecursionError):
                return
        elif isinstance(node, DictConfig) and isinstance(node._content, dict):
            for name, child in node._content.items():
                visit(child, f"{key}.{name!s}".lstrip("."))

    visit(config, "")
    return {key: other for key, other in found.items() if other != key}


def interpolated(config: DictConfig) -> dict[str, Any]:
    """Return the keys that are written as interpolations, or as lists with some in them, each as it is written."""
    found: dict[str, Any] = {}

    def visit(node: Any, key: str) -> None:
        if node._is_interpolation():
            found[key] = str(node._value())
        elif isinstance(node, ListConfig) and "${" in str(node):
            found[key] = OmegaConf.to_container(node, resolve=False)
        elif isinstance(node, DictConfig) and isinstance(node._content, dict):
            for name, child in node._content.items():
                visit(child, f"{key}.{name!s}".lstrip("."))

    visit(config, "")
    return found


def plainly_written(config: DictConfig, copied: Mapping[str, str]) -> bool:
    """Tell whether every interpolation in `config` is among `copied`: none computes its value from several others."""

    def visit(node: Any, key: str) -> bool:
        if node._is_interpolation():
            return key in copied and str(node._value()).count("$") == 1 and ":" not in str(node._value())
        content = node._content if isinstance(node, DictConfig | ListConfig) else None
        inner = content.items() if isinstance(content, dict) else enumerate(content or ())
        return all(visit(child, f"{key}.{name!s}".lstrip(".")) for name, child in inner)

    return visit(config, "")


def source(key: str, copied: Mapping[str, str]) -> str:
    """Return the key at which the value of `key` is written: `seed` for `data.seed`, itself for most."""
    for original, other in copied.items():
        if key == original or key.startswith(f"{original}."):
            return source(other + key.removeprefix(original), copied)
    return key
