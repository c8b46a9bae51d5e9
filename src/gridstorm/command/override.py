"""A command line's overrides, looked at one by one: Hydra itself stops at the first that is wrong."""

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, ValueType
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.command import class_choice
from gridstorm.command.class_choice import OF_CLASSES, is_class
from gridstorm.command.hydra import (
    NO_IMPORT,
    apply,
    as_text,
    dirname,
    instead,
    may_import,
    raw_value,
    rounded,
    values_of,
)  # fmt: skip
from gridstorm.command.origin import folders, presets_last
from gridstorm.command.parse import read
from gridstorm.command.preset import ENDING, PRESETS, on_parent, parent_in, problem
from gridstorm.command.suggestion import misplaced_key
from gridstorm.config import GROUPS, LISTS, NOT_A_SWEEP, OF_SWEEPS, as_written, leaves
from gridstorm.error import Problem, UserError, did_you_mean, printable
from gridstorm.record import RunRecord
from gridstorm.target import command, shown

PARAMS = "sweep.params"
MOST_VALUES = 100_000  # of one key
FAILURES = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, RecursionError)

# What Hydra accepts and a run of ours would ignore.
IGNORED = {
    **dict.fromkeys(
        ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.chdir", "hydra.output_subdir"),
        ("A run makes its own directory.", "Write output_dir=DIRECTORY name=NAME."),
    ),
    "hydra/launcher": ("Gridstorm launches its runs itself.", "Choose launcher=processes or launcher=in_process."),
    "hydra/sweeper": ("Gridstorm has a sweeper of its own.", "Choose sampler=grid, random, sobol, tpe, gp or cmaes."),
}

# Hydra's own node: what a run of ours has there. Whatever else is in it would be ignored, or could name any code.
LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}

OURS: dict[str, Any] = {
    "run": {"dir": "."},
    "sweep": {"dir": ".", "subdir": "."},
    "launcher": {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"},
    "sweeper": {"_target_": "hydra_plugins.gridstorm_sweeper.gridstorm_sweeper.GridstormSweeper"},
    "hydra_logging": LOGGING,
    "job_logging": LOGGING,
    "output_subdir": None,
}
SEARCHED = "hydra.searchpath"
AS_A_LIST = "It is no list of folders.", "Write 'hydra.searchpath=[file://FOLDER]'."
KEPT: dict[str, Any] = {
    **{"verbose": False, "job.chdir": None, "job.env_copy": []},
    **{f"job.config.override_dirname.{key}": value for key, value in
       (("kv_sep", "="), ("item_sep", ","), ("exclude_keys", []))},
}  # fmt: skip
OF_HYDRA = ("help", "hydra_help", "mode", "searchpath", "overrides", "runtime")  # what it prints, and its own notes
OF_JOBS = ("job.name", "job.id", "job.num", "job.override_dirname", "job.config_name")


@dataclass
class Overrides:
    """What a command line sets.

    Args:
        loader: Hydra's loader of configurations.
        config_name: The name of the primary configuration.
        texts: The overrides as they were written, such as `model=cnn`.
        sweep: Whether an override may hold several values.
        problems: What `compose` found to be wrong.
        unknown: The groups whose choice it found to be wrong.
    """

    loader: ConfigLoader
    config_name: str
    texts: Sequence[str]
    sweep: bool = False
    problems: list[Problem] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    _swept: list[Override] = field(default_factory=list)
    _searched: list[str] = field(default_factory=list)

    def compose(self) -> DictConfig | None:
        """Return what the good overrides compose to, Hydra's node included; of a sweep, its first corner.

        None where the files do not compose, whatever the overrides say.
        """
        texts = sorted(self.texts, key=lambda text: SEARCHED not in text)  # where to look comes before what is there
        parsed = [override for text in texts if (override := self._parsed(text))]
        groups = [override for override in parsed if override.is_hydra_override() or self._is_group(override)]
        chosen = [_first(override) for override in groups if self._is_chosen(override)]
        config = on_parent(self._parent(), chosen, self._composed)
        if config is None:
            return None
        for override in parsed:
            if override not in groups and override.key_or_group.partition(".")[0] not in self.unknown:
                self._set(config, override)
        task = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in task]
        config.hydra.overrides.hydra = [override.input_line for override in parsed if override.is_hydra_override()]
        config.hydra.job.override_dirname = dirname(task, config.hydra.job.config.override_dirname)
        return config

    def corners(self, config: DictConfig) -> Iterator[DictConfig]:
        """Yield `config`, then the same with each further value of each swept key: every value is seen once."""
        yield config
        for override in self._swept:
            first, *others = _values(override)
            for value in (value for value in others if not isinstance(value, dict)):  # those are composed themselves
                OmegaConf.update(config, override.key_or_group, value)
                yield config
            if not isinstance(first, dict):
                OmegaConf.update(config, override.key_or_group, first)

    def _parent(self) -> RunRecord | None:
        """Return the run that a branch begins from, whose configuration is its preset; another one takes its place."""
        try:
            return parent_in(self.texts)
        except UserError as refusal:
            self.problems += refusal.problems
            return None

    def options(self, group: str, kind: ObjectType = ObjectType.CONFIG) -> list[str]:
        """Return the choices of a group, or with `ObjectType.GROUP` the groups in it."""
        return self.loader.get_group_options(group, kind, overrides=self._searched)

    def _choices(self) -> dict[str, list[str]]:
        return {group: self.options(group) for group in GROUPS}

    def _parsed(self, text: str) -> Override | None:
        if text.startswith(f"+{PRESETS}="):
            text = text[1:]  # as it is written where a configuration has no such group yet: it means the same here
        key = text.lstrip("+~").partition("=")[0]
        if key in IGNORED and "LOCAL_RANK" not in os.environ:  # Lightning hands Hydra's directories to ddp's processes
            self.problems.append(Problem(text, *IGNORED[key]))
            return None
        if not self.sweep and re.split("[./]", key)[0] in OF_SWEEPS:
            self.problems.append(Problem(text, NOT_A_SWEEP, "Add -m."))
            return None
        parsed = read(text, self.loader)
        if parsed is None:
            self.problems.append(self._unreadable(text))
            return None
        if wrong := self._wrong_values(key, text, parsed):
            self.problems.append(Problem(text, *wrong))
            return None
        self._searched += [text] if key == SEARCHED else []
        return parsed

    def _wrong_values(self, key: str, text: str, parsed: Override) -> tuple[str, str] | None:
        if key == SEARCHED:
            return unsearchable(parsed.value()) if text.startswith(f"{key}=[") else AS_A_LIST
        if wrong := endless(key, raw_value(parsed)):
            return wrong
        if parsed.is_sweep_override() and not _values(parsed):
            return "It lists no values.", f"List some: {key}=VALUE,VALUE."
        if parsed.is_sweep_override() and not self.sweep:
            remedy = "Add -m to train every combination."
            if parsed.value_type == ValueType.SIMPLE_CHOICE_SWEEP and "(" not in text and not self._is_group(parsed):
                remedy = f"Add -m to train every combination, or write a list: {text.replace('=', '=[', 1)}]."
            return "It holds several values, and one run has one.", remedy
        return None

    def _unreadable(self, text: str) -> Problem:
        key, equals, value = text.partition("=")
        if not equals:
            named = [repr(f"{group}={text}") for group, names in self._choices().items() if text in names]
            remedy = f"Did you mean {' or '.join(named)}?" if named else "Write KEY=VALUE, such as model=cnn."
            return Problem(text, "It is not KEY=VALUE.", remedy)
        if not re.fullmatch(r"[+~]{0,2}[\w@/$:-]+(\.[\w@/$:-]+)*", key):
            return Problem(text, "It does not begin with a key.", "Write KEY=VALUE, such as optimizer.lr=0.01.")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            return Problem(text, "This locale cannot tell its letters.", "Set LC_ALL=C.UTF-8.")
        if value != printable(value):
            return Problem(text, "It holds what cannot be shown.", "Take it out.")
        unclosed = any(value.count(opening) != value.count(other) for opening, other in ("[]", "{}", "()"))
        quoted, bare = value.replace('"', ""), re.sub(r"""(["'])([^"']+)\1\s*:""", r"\2:", value)
        if bare != value and read(f"{key}={bare}", self.loader):
            return Problem(text, "The names in a section stand without quotes.", f"Write '{key}={bare}'.")
        remedy = "Close every bracket." if unclosed else f"Quote it, if it is a text: '{key}=\"{quoted}\"'."
        return Problem(text, "Its value cannot be read.", remedy)

    def _is_group(self, override: Override) -> bool:
        parent, _, name = override.key_or_group.rpartition("/")
        return (
            "." not in name
            and not isinstance(override.value(), dict)
            and name in self.options(parent, ObjectType.GROUP)
        )

    def _is_chosen(self, override: Override) -> bool:
        """Tell whether a group's override names choices that there are; otherwise say what is wrong with it."""
        wrong = self._wrong_choice(override) if self._is_group(override) and not override.is_delete() else None
        if wrong:
            self.problems.append(Problem(str(override.input_line), *wrong))
            self.unknown.add(override.key_or_group)
        return wrong is None

    def _wrong_choice(self, override: Override) -> tuple[str, str] | None:
        group, options = override.key_or_group, self.options(override.key_or_group)
        if group in GROUPS and not override.package and (override.is_add() or override.is_force_add()):
            return f"{group} is chosen already.", f"Write {str(override.input_line).lstrip('+')}."
        values = _values(override)
        lists = [value for value in values if isinstance(value, list)]
        if group not in LISTS and (override.package or lists):
            named = lists[0] if lists else values
            every = ",".join(map(as_text, named))
            remedy = f"Write {group}={every}." if len(named) < 2 else f"Write -m {group}={every} for a run with each."
            return f"A run has one {group}.", remedy if named else did_you_mean("", options)
        for name in (name for value in values for name in (value if isinstance(value, list) else [value])):
            if group == PRESETS and str(name).endswith(ENDING):
                if wrong := problem(name):
                    return wrong
                continue
            if group in OF_CLASSES and is_class(name):
                if wrong := class_choice.problem(group, name):
                    return wrong
                continue
            folder, _, last = f"{group}/{name}".rpartition("/")
            if not isinstance(name, str) or ".." in name or last not in self.options(folder):
                remedy = f"Write {group}=none." if name is None and "none" in options else ""
                return f"There is no {group} called {shown(name)!r}.", remedy or did_you_mean(shown(name), options)
        return None

    def _composed(self, texts: list[str]) -> DictConfig | None:
        """Compose choices; of those that cannot be, say why and leave them out."""
        try:
            return self._load(texts)
        except Exception as error:  # of many kinds: files that are no YAML, lists of defaults that lead nowhere
            without = self._fails([])
            alone = {text: wrong for text in texts if (wrong := self._fails([text]))}
            if without or not alone:
                place = f"{self.config_name}.yaml" if without else " ".join(texts)
                self.problems.append(words(place, without or error))
                return None
        self.problems += [words(text, error) for text, error in alone.items()]
        self.unknown |= {text.lstrip("+~").partition("=")[0] for text in alone}
        return self._composed([text for text in texts if text not in alone])

    def _load(self, texts: list[str]) -> DictConfig:
        return presets_last(lambda texts: self.loader.load_configuration(self.config_name, texts, RunMode.RUN), texts)

    def _fails(self, texts: list[str]) -> Exception | None:
        try:
            self._load(texts)
        except Exception as error:
            return error
        return None

    def _set(self, config: DictConfig, override: Override) -> None:
        """Set one key, of a sweep the first of its values, or say what is wrong with it."""
        value = override.value()
        if override.key_or_group == PARAMS and isinstance(value, dict):  # its keys are dotted, and no sections
            config.sweep.params = {**as_written(config.sweep.params), **value}
            return
        section = OmegaConf.select(config, override.key_or_group, throw_on_resolution_failure=False)
        if isinstance(value, dict) and isinstance(section, DictConfig):
            for key, inner in leaves(value, override.key_or_group):
                self._set(config, replace(override, key_or_group=key, _value=inner, input_line=f"{key}={shown(inner)}"))
            return
        override = whole(override, section)
        if wrong := misplaced_key(config, override, self._choices, folders(config.hydra)):
            self.problems.append(wrong)
            return
        first = (
            replace(override, value_type=ValueType.ELEMENT, _value=_values(override)[0])
            if override.is_sweep_override()
            else override
        )
        try:
            apply(config, first)
            self._swept += [override] if override.is_sweep_override() else []
        except FAILURES as error:
            self.problems.append(words(str(override.input_line), error))


def of_hydra(loader: ConfigLoader, hydra: DictConfig) -> list[Problem]:
    """Return what Hydra's own node holds that is neither ours nor Hydra's default, whatever set it."""
    plain: Any = OmegaConf.to_container(hydra, resolve=False)
    held = {key: value for key, value in leaves(plain) if key.split(".")[0] not in OF_HYDRA and key not in OF_JOBS}
    ours = {**dict(leaves(OURS)), **KEPT}
    if other := {key: value for key, value in held.items() if key not in ours or ours[key] != value}:
        default = dict(leaves(_hydras_own(loader)))
        passed = {"run.dir", "output_subdir"} if "LOCAL_RANK" in os.environ else set()
        other = {key: value for key, value in other.items() if key not in passed and default.get(key, ...) != value}
    fact = "Gridstorm leaves nothing to this part of Hydra, which can name any code."
    return [Problem(f"hydra.{key}={shown(value)}", fact, "Take it out.") for key, value in other.items()]


def _hydras_own(loader: ConfigLoader) -> Any:
    """Return Hydra's node where nobody sets anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of how Hydra finds its own files, which only it can mend
        return OmegaConf.to_container(loader.load_configuration(None, [], RunMode.RUN).hydra, resolve=False)


def unsearchable(value: Any) -> tuple[str, str] | None:
    """Return why folders cannot be searched for choices, None if they can."""
    if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
        return AS_A_LIST
    for path in value:
        scheme, _, place = str(path).rpartition("://")
        if scheme == "pkg" and not may_import(place):
            return NO_IMPORT, instead(place)
        if scheme not in ("file", "pkg", "") or (scheme != "pkg" and not Path(place).is_dir()):
            return f"There is no folder {place}.", AS_A_LIST[1]
    return None


def words(key: str, error: Exception) -> Problem:
    """Say what Hydra or OmegaConf said, in two sentences."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        place = f"{error.problem_mark.name}, line {error.problem_mark.line + 1}"
        return Problem(place, f"It is not YAML ({error.problem}).", "Correct that line, or the one before it.")
    if isinstance(error, ConfigLoadError) and len(lines := str(error).splitlines()) == 2:
        return Problem(key, *lines)  # one of ours
    message = str(error).strip()
    if not message or message.startswith("Error merging override"):
        message = str(error.__cause__ or "").strip() or message or repr(error)
    message = message.partition("Config search path")[0]
    first, *rest = [line.strip().rstrip(".") for line in message.splitlines() if line.strip()]
    options = message.partition("Available options")[2].splitlines()[1:]
    names = [line.strip() for line in options if line.strip()]
    missing = (re.findall(r"'([^']+)'", first) or [""])[-1].rpartition("/")[2]
    remedy = did_you_mean(missing, names) if names else f"{' '.join(rest)}." if rest else f"See {command('--help')}."
    return Problem(key, f"{first}.", remedy)


def _values(override: Override) -> list[Any]:
    """Return the values that an override gives its key; of a range and of an interval, the two ends."""
    value = raw_value(override)
    if isinstance(value, IntervalSweep):
        return [value.start, value.end]
    if isinstance(value, RangeSweep):
        start, stop, step = value.start or 0, value.stop or 0, value.step
        length = math.ceil((stop - start) / step) if step else 0
        return [*map(rounded, (start, start + (length - 1) * step))][:length] if length > 0 else []
    return values_of(override)


def endless(key: str, value: Any) -> tuple[str, str] | None:
    """Return why a range lists no values, or too many, None if it lists some."""
    if not isinstance(value, RangeSweep):
        return None
    start, stop, step = value.start or 0, value.stop or 0, value.step or 0
    if not all(map(math.isfinite, (start, stop, step))):
        return "It has no end.", f"Write numbers, such as {key}=range(1,4)."
    count = (stop - start) / step if step else 0.0
    if count > MOST_VALUES:
        sure = f"{count:,.0f}" if count < 1e15 else "endlessly many"
        remedy = f"List fewer, or draw from {key}=interval({start:g},{stop:g}) with sampler=random."
        return f"It lists {sure} values, and {MOST_VALUES:,} are the most.", remedy
    return None


def whole(override: Override, now: Any) -> Override:
    """Make an interval one of whole numbers where the key holds one `now`: `model.depth=interval(1,4)`."""
    value = raw_value(override)
    if not isinstance(value, IntervalSweep) or not isinstance(now, int) or isinstance(now, bool):
        return override
    ends = [float(end or 0) for end in (value.start, value.end)]
    if not all(end.is_integer() for end in ends):
        return override
    return replace(override, _value=replace(value, start=int(ends[0]), end=int(ends[1])))


def _first(override: Override) -> str:
    """Return the override with the first of its values alone."""
    text = str(override.input_line)
    return f"{override.get_key_element()}={as_text(_values(override)[0])}" if override.is_sweep_override() else text
