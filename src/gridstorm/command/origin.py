"""Where the values of a configuration came from: a default, a choice, a preset or the command line."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gridstorm.command.hydra import as_text
from gridstorm.command.parse import read, read_all
from gridstorm.command.preset import ENDING, PRESETS, preset
from gridstorm.config import leaves, original

LAST = f"{PRESETS}@_global_"  # the group by another key, which can be added to the end


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
    presets = _presets(overrides, choices, folders)
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
        chosen = [name for name, (_, groups) in presets.items() if groups.get(group) == choices.get(group, "")]
        return f"preset {chosen[0]}: {group}={choices.get(group)}" if chosen else "default"

    return {key: origin(original(key, copied)) for key, _ in leaves(plain)}


def folders(hydra: DictConfig) -> list[Path]:
    """Return the folders in which Hydra looked for choices, the first wins."""
    return [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]


def presets_last(load: Callable[[list[str]], DictConfig], texts: Sequence[str]) -> DictConfig:
    """Return what choices compose to, where presets of the command line win over the primary configuration.

    To Hydra, what a project's config.yaml chooses and sets wins over them: its file comes after the base, which holds
    the place of the presets. What an override adds comes after both.

    Args:
        load: Composes overrides.
        texts: The command line's choices, which win over all.
    """
    named = [text for text in texts if re.match(rf"\+?{PRESETS}=(?!null$)", text)]
    if not named:
        return load([*texts])
    rest = [text for text in texts if text not in named]
    moved = [f"~{PRESETS}", f"+{LAST}={named[-1].partition('=')[2]}", *rest]
    config = _renamed(load(moved))
    given = {text.lstrip("+~").partition("=")[0] for text in rest}
    unmet = _unmet(named, config.hydra, given)
    return _renamed(load([*unmet, *moved])) if unmet else config


def _renamed(config: DictConfig) -> DictConfig:
    """Return a composed configuration that names the choice of a preset as if it stood in its own place."""
    choices = {**config.hydra.runtime.choices}
    preset = choices.pop(LAST, None)  # of a list, Hydra notes none
    config.hydra.runtime.choices = {**choices, PRESETS: preset}
    return config


def _unmet(named: Sequence[str], hydra: DictConfig, given: Collection[str]) -> list[str]:
    """Return as overrides what presets choose and have not got, and the command line does not choose itself."""
    choices = hydra.runtime.choices
    presets = _presets(named, choices, folders(hydra)).values()
    wanted = {group: choice for _, groups in reversed([*presets]) for group, choice in groups.items()}
    unmet = {group: choice for group, choice in wanted.items() if group in choices and choices[group] != choice}
    return [f"{group}={choice}" if choice else f"~{group}" for group, choice in unmet.items() if group not in given]


def _presets(
    overrides: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]
) -> dict[str, tuple[set[str], dict[str, str | None]]]:
    """Return what each preset sets and chooses, the last first, which wins."""
    return {name: _preset(folders, name) for name in reversed(_named(overrides, choices))}


def _named(overrides: Sequence[str], choices: Mapping[str, str]) -> list[str]:
    """Return the names of the presets, the last one wins; Hydra's choices hold a single one, not a list."""
    texts = [text for text in overrides if text.lstrip("+").partition("=")[0] == PRESETS]
    values = [override.value() for override in read_all(texts)]
    named = values[-1] if values and isinstance(values[-1], list) else choices.get(PRESETS)
    return [str(name) for name in (named if isinstance(named, list) else [named]) if name]


def _given(text: str) -> Iterator[str]:
    """Yield the keys that an override sets: several where its value is a section."""
    key, _, value = text.lstrip("+~").partition("=")
    override = read(text) if value.startswith("{") else None
    section = override.value() if override else None
    yield from (name for name, _ in leaves(section, key)) if isinstance(section, dict) else [key]


def _preset(folders: Sequence[Path], name: str) -> tuple[set[str], dict[str, str | None]]:
    """Return the keys that a preset sets and what it chooses for groups, those that it stands on included."""
    inside = [folder / PRESETS / f"{name.removesuffix(ENDING)}{ENDING}" for folder in folders]
    files = [Path(name), *inside] if name.endswith(ENDING) else inside
    there: Any = next((preset(str(file)).config for file in files if file.is_file()), None)
    content: Any = OmegaConf.to_container(there, resolve=False) if isinstance(there, DictConfig) else {}
    keys, groups = {key for key, _ in leaves({**content, "defaults": None})}, dict[str, str | None]()
    for entry in content.get("defaults") or []:
        group, choice = next(iter(entry.items())) if isinstance(entry, dict) else (PRESETS, entry)
        group = str(group).split("/")[-1].split()[-1]
        if group != PRESETS:
            groups[group] = None if choice is None else as_text(choice)
        elif choice != "_self_":
            below = _preset(folders, str(choice).removeprefix(f"/{PRESETS}/"))
            keys, groups = keys | below[0], {**below[1], **groups}
    return keys, groups
