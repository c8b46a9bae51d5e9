"""Presets: files that choose and set what a run has, found by name or by path, checked, and written for the best run.

Such a file may come from someone else. It can choose and set what a run has, and all of that is checked as if it stood
on the command line; it cannot reach Hydra's own node, which names code to be run, nor other files.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig, OmegaConf

from gridstorm.command.class_choice import OF_CLASSES
from gridstorm.command.hydra import FileConfigSource, as_text
from gridstorm.command.parse import read
from gridstorm.command.source import Unlisted, register
from gridstorm.config import CONFIG, GROUPS, OF_SWEEPS, RunConfig, is_file, unreadable_yaml
from gridstorm.error import closest
from gridstorm.record import RunRecord, is_run, run_of
from gridstorm.target import shown

NODE = r"\$\{[\w.@/-]+\}"  # an interpolation of another key, and no resolver
PRESETS = "experiment"
ENDING = ".yaml"  # a value of the group that ends so is a path, not the name of a choice
BEGUN = ("parent", "horizon")  # of a run that goes on from another one, which its own command says
REMEDY = "Name one that a sweep wrote, such as outputs/NAME/best.yaml."


class Presets(Unlisted, FileConfigSource):
    """Where Hydra looks for the choices of `experiment` that end in .yaml: below the working directory."""

    @staticmethod
    def scheme() -> str:
        """Return what stands before `://` in Hydra's search path."""
        return "preset"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the file's content.

        Raises:
            ConfigLoadError: It is no preset, or one that reaches further than it may.
        """
        if wrong := problem(_path(config_path)):
            raise ConfigLoadError(wrong[0])
        return preset(_path(config_path))

    def is_config(self, config_path: str) -> bool:
        """Tell whether there is a file at a path of the group."""
        return (
            config_path.startswith(f"{PRESETS}/") and config_path.endswith(ENDING) and is_file(Path(_path(config_path)))
        )


register(Presets)


def _path(config_path: str) -> str:
    return config_path.removeprefix(f"{PRESETS}/")


def preset(path: str) -> ConfigResult:
    """Return the preset in a file; the `config.yaml` of a run is one, too: what it was trained with."""
    file = Path(path)
    if file.name != CONFIG or not is_run(file.parent):
        return FileConfigSource("gridstorm", "file://").load_config(path)
    defaults, content = as_preset(RunRecord(file.parent).config)
    whole = OmegaConf.create({"defaults": defaults, **content})
    return ConfigResult(provider="gridstorm", path="preset://", config=whole, header={"package": "_global_"})


def parent_in(texts: Sequence[str]) -> RunRecord | None:
    """Return the run from which a command line's branch begins, None where another preset stands in its place.

    Raises:
        UserError: There is none.
    """
    keys = {text.lstrip("+").partition("=")[0]: text for text in texts}
    branch = read(keys["branch"]) if "branch" in keys and PRESETS not in keys else None
    named = branch.value() if branch and not branch.is_sweep_override() else None
    return run_of(str(named)) if named is not None else None


def on_parent(
    parent: RunRecord | None, texts: list[str], compose: Callable[[list[str]], DictConfig | None]
) -> DictConfig | None:
    """Return what choices compose to on what a parent was trained with, if there is one.

    Where another choice than the parent's is made, nothing of the parent's is left in its section.
    """
    if parent is None:
        return compose(texts)
    path = as_text(QuotedString(str(parent.directory / CONFIG), Quote.single))  # a run's name may hold lr=0.01
    config = compose([f"{PRESETS}={path}", *texts])
    chosen = [text.partition("=")[::2] for text in texts]
    others = [group for group, choice in chosen if parent.config.choices.get(group, choice) != choice]
    if config is not None and others and (plain := compose(texts)) is not None:
        for group in others:
            OmegaConf.update(config, group, plain[group], merge=False)
    return config


def problem(path: str) -> tuple[str, str] | None:
    """Return why a file is no preset that may be used, in a sentence of fact and one of remedy; None if it is one."""
    if Path(path).exists() and (unreadable := unreadable_yaml(Path(path))):
        return unreadable
    if not is_file(Path(path)):
        folder = Path(path).parent
        beside = [str(file) for file in folder.glob(f"*{ENDING}")] if folder.is_dir() else []
        close = closest(path, beside)
        return "There is no such file.", f"Did you mean {close[0]!r}?" if close else REMEDY
    try:
        result = preset(path)
    except Exception as error:  # of many kinds: no text, no YAML, no section
        return f"It cannot be read ({str(error).splitlines()[0].rstrip('.')}).", REMEDY
    if result.header.get("package") != "_global_" or not isinstance(result.config, DictConfig):
        return "It is no preset: its first line is not # @package _global_.", REMEDY
    content: Any = OmegaConf.to_container(result.config, resolve=False)
    if "hydra" in content:
        return "It sets Hydra's own node, which can name any code.", "Take its section hydra out."
    wrong = [entry for entry in content.get("defaults") or [] if not _harmless(entry)]
    if wrong:
        return f"Its list of defaults holds {wrong[0]!r}.", "Keep entries such as override /model: mlp."
    return None


def _harmless(entry: Any) -> bool:
    """Tell whether an entry of a list of defaults makes a choice of the run's, by a name and not by a path."""
    if not isinstance(entry, dict) or len(entry) != 1:
        return bool(entry == "_self_")
    [(key, choice)] = entry.items()
    names = choice if isinstance(choice, list) else [choice]
    dotted = r"\w[\w-]*" if str(key).removeprefix("override /") not in OF_CLASSES else r"\w[\w.-]*"
    group = re.fullmatch(r"override /(\w+)", str(key))
    return bool(
        (key == f"/{PRESETS}" or (group and group[1] != "hydra"))
        and all(name is None or re.fullmatch(dotted, str(name)) for name in names)
    )


def again(file: Path) -> str:
    """Return the override that trains a best.yaml again, as it can be pasted into a shell."""
    return pasted(PRESETS, file)


def pasted(key: str, path: Path) -> str:
    """Return `key=path` as it can be pasted into a shell, quoted where Hydra or the shell needs that."""
    return shlex.quote(f"{key}={quoted(path)}")


def quoted(path: Path) -> str:
    """Return a path as Hydra reads it as one value: in quotes where it has more than letters, digits and `/._-`."""
    text = str(path)
    return text if re.fullmatch(r"[A-Za-z0-9_/.+=-]+", text) else as_text(QuotedString(text, Quote.double))


def as_preset(config: RunConfig) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return a configuration's choices as a list of defaults, and the values of its recipe.

    A preset can set a key, not take one away: of a section from which one was taken (`~optimizer.eps`), nothing is
    chosen, and it stands here as a whole.
    """
    lacking = {re.split("[.=]", text[1:])[0] for text in config.overrides if text.startswith("~")}
    values = {key: value for key, value in config.recipe.items() if key not in BEGUN}
    if config.values.get("branch"):
        values["branch"] = config.values["branch"]
    values["callbacks"] = config.values["callbacks"] if "callbacks" in lacking else values["callbacks"]
    groups = [group for group in GROUPS if group in config.choices and group not in (*OF_SWEEPS, PRESETS)]
    defaults = [{f"override /{group}": None if group in lacking else config.choices[group]} for group in groups]
    whole = {"trainer": config.values["trainer"]} if "trainer" in lacking else {}
    plain = {key: value for key, value in {**values, **whole}.items() if value != {}}
    return defaults, {key: _section(config, key, value, key in lacking) for key, value in plain.items()}


def _section(config: RunConfig, key: str, value: Any, whole: bool) -> Any:
    """Return a value of the recipe as a preset has it: without what its choice says anyway of its target.

    What was written as an interpolation of other keys is one there too, so that a later `seed=1` reaches it.
    """
    written = config.written.get(key)
    if written is not None and follows(written):
        return written
    if isinstance(value, dict):
        inner = {name: _section(config, f"{key}.{name}", item, whole) for name, item in value.items()}
        return {name: item for name, item in inner.items() if whole or not _chosen(config, f"{key}.{name}")}
    return _as_text(value)


def follows(written: Any) -> bool:
    """Tell whether a text, or each text of a list, is made of other keys alone: of no environment and no clock."""
    texts = written if isinstance(written, list) else [written]
    return not any("${" in re.sub(NODE, "", str(text)) for text in texts)


def fixed(config: RunConfig) -> list[tuple[str, str]]:
    """Return the keys of the recipe, with their texts, that a preset holds as the values that they had in the run."""
    texts = {key: text for key, text in config.written.items() if key.split(".")[0] in config.recipe}
    return [(key, " ".join(shown(text).split())) for key, text in texts.items() if not follows(text)]


def _as_text(value: Any) -> Any:
    """Return a plain value as YAML that is composed again has it: what looks like an interpolation is none."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _chosen(config: RunConfig, key: str) -> bool:
    """Tell whether a key belongs to a target and comes with its choice; then another choice can bring another one."""
    group, origin = key.partition(".")[0], config.origins.get(key, "default")
    with_choice = origin == "default" or origin.startswith("choice ") or f": {group}=" in origin
    return key.rpartition(".")[2] in ("_target_", "_partial_") and with_choice and group in config.choices
