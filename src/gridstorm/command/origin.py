"""Where the values of a configuration came from: a default, a choice, a preset or the command line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from gridstorm.command.preset import ENDING, PRESETS
from gridstorm.config import leaves, original


def origins(
    plain: Mapping[str, Any],
    copied: Mapping[str, str],
    overrides: Sequence[str],
    choices: Mapping[str, str],
    folders: Sequence[Path],
) -> dict[str, str]:
    """Return for each dotted key `default`, `choice GROUP=NAME`, `preset NAME` or `command line`.

    Args:
        plain: The configuration, resolved.
        copied: The keys that are written `${other.key}`: they come from where the other does.
        overrides: The command line.
        choices: The choice of each group.
        folders: Where the presets' files are.
    """
    presets = {name: _preset(folders, name) for name in reversed(_named(overrides, choices))}
    overridden = {key for text in overrides for key in _given(text)}

    def origin(key: str) -> str:
        parents = {".".join(key.split(".")[: length + 1]) for length in range(key.count(".") + 1)}
        group = key.partition(".")[0]
        if parents & (overridden - set(choices)):
            return "command line"
        for name, (keys, _) in presets.items():
            if parents & keys:
                return f"preset {name}"
        if group in overridden and group in choices:
            return f"choice {group}={choices[group]}"
        chosen = [name for name, (_, groups) in presets.items() if group in groups]
        return f"preset {chosen[0]}: {group}={choices.get(group)}" if chosen else "default"

    return {key: origin(original(key, copied)) for key, _ in leaves(plain)}


def _named(overrides: Sequence[str], choices: Mapping[str, str]) -> list[str]:
    """Return the names of the presets, the last one wins; Hydra's choices hold a single one, not a list."""
    texts = [text for text in overrides if text.lstrip("+").partition("=")[0] == PRESETS]
    values = [override.value() for override in OverridesParser.create().parse_overrides(texts)]
    named = values[-1] if values and isinstance(values[-1], list) else choices.get(PRESETS)
    return [str(name) for name in (named if isinstance(named, list) else [named]) if name]


def _given(text: str) -> Iterator[str]:
    """Yield the keys that an override sets: several where its value is a section."""
    key, _, value = text.lstrip("+~").partition("=")
    section = OverridesParser.create().parse_override(text).value() if value.startswith("{") else None
    yield from (name for name, _ in leaves(section, key)) if isinstance(section, dict) else [key]


def _preset(folders: Sequence[Path], name: str) -> tuple[set[str], set[str]]:
    """Return the keys that a preset sets and the groups for which it chooses, those it stands on included."""
    inside = [folder / PRESETS / f"{name.removesuffix(ENDING)}{ENDING}" for folder in folders]
    files = [Path(name), *inside] if name.endswith(ENDING) else inside
    text = next((file.read_text() for file in files if file.is_file()), "")
    content = loaded if isinstance(loaded := yaml.safe_load(text), dict) else {}
    keys, groups = {key for key, _ in leaves({**content, "defaults": None})}, set()
    for entry in content.get("defaults") or []:
        group, choice = next(iter(entry.items())) if isinstance(entry, dict) else (PRESETS, entry)
        group = str(group).split("/")[-1].split()[-1]
        if group != PRESETS:
            groups.add(group)
        elif choice != "_self_":
            below = _preset(folders, str(choice).removeprefix(f"/{PRESETS}/"))
            keys, groups = keys | below[0], groups | below[1]
    return keys, groups
