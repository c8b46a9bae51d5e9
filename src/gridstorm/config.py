"""Overrides in, one composed and checked configuration out; what a recipe is, and its signature."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.check import check
from gridstorm.refusal import Problem, Refusal, did_you_mean
from gridstorm.target import targets

RECIPE = ("data", "model", "loss", "optimizer", "scheduler", "regularization", "seed", "monitor", "mode")
# The trainer's keys that decide numbers; the others say on what and how it is watched.
RECIPE_TRAINER = (
    "max_epochs", "min_epochs", "max_steps", "min_steps", "precision", "gradient_clip_val", "gradient_clip_algorithm",
    "accumulate_grad_batches", "overfit_batches", "limit_train_batches", "limit_val_batches", "limit_test_batches",
    "check_val_every_n_epoch", "val_check_interval",
)  # fmt: skip
GROUPS = ("data", "model", "loss", "optimizer", "scheduler", "trainer", "callbacks", "experiment")

# Hydra deep-copies its store of built-in configurations for each group that it lists, half of the time of --help,
# though nothing writes to the copy: let the store be its own copy.
_STORE = ConfigStore.instance()
_STORE.__dict__["__deepcopy__"] = lambda memo: _STORE


@dataclass(frozen=True)
class Composed:
    """A configuration that was checked, resolved to plain values, and where its values came from."""

    config: dict[str, Any]
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def recipe(self) -> dict[str, Any]:
        """The part of the configuration that decides the run's numbers."""
        trainer = {key: value for key, value in self.config["trainer"].items() if key in RECIPE_TRAINER}
        stopping = {
            name: node for name, node in (self.config["callbacks"] or {}).items()
            if str(node.get("_target_", "")).endswith("EarlyStopping")
        }  # fmt: skip
        return {**{key: self.config[key] for key in RECIPE}, "trainer": trainer, "early_stopping": stopping}

    @property
    def signature(self) -> str:
        """Twelve hexadecimal digits that name the resolved recipe: equal recipes have equal signatures."""
        text = json.dumps(_canonical(self.recipe), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def accept(config: DictConfig, hydra: DictConfig | None = None) -> Composed:
    """Check a configuration that Hydra composed.

    Args:
        config: The configuration, without Hydra's own node.
        hydra: Hydra's node; None takes that of the running application.

    Raises:
        Refusal: Something is wrong with the configuration; every problem is in it.
    """
    hydra = HydraConfig.get() if hydra is None else hydra
    folders = [Path(source.path) for source in hydra.runtime.config_sources if source.schema == "file"]
    problems = [*_ours(hydra), *check(config, {group: _choices(folders, group) for group in GROUPS})]
    if problems:
        raise Refusal(problems)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    overrides, choices = list(hydra.overrides.task), {group: hydra.runtime.choices.get(group) for group in GROUPS}
    named = {group: str(choice) for group, choice in choices.items() if choice}
    return Composed(plain, overrides, named, _origins(plain, overrides, named, folders))  # type: ignore[arg-type]


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every value of a plain configuration; a list is one value."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, node


@contextmanager
def plainly() -> Iterator[None]:
    """Say a refusal in words and end with exit status 2; a traceback is for our own mistakes."""
    try:
        yield
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)


def door(main: Callable[[], None]) -> None:
    """Call Hydra's `main`; what Hydra cannot compose is looked at once more, and refused with all that is wrong."""
    wants_traceback = os.environ.setdefault("HYDRA_FULL_ERROR", "1") != "1"
    with plainly():
        try:
            main()
        except (HydraException, OmegaConfBaseException) as error:
            if wants_traceback:
                raise
            raise Refusal(explain(error, sys.argv[1:])) from error


def explain(error: Exception, arguments: Sequence[str]) -> list[Problem]:
    """Return all that is wrong with a command line that Hydra could not compose; `error` is where Hydra stopped."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path, get_args_parser

    given = get_args_parser().parse_args(arguments)
    home = Path(sys.argv[0]).resolve().parent / "conf"
    path = create_config_search_path(str(Path(given.config_path or home).resolve()))
    if given.config_dir:
        path.prepend("command-line", f"file://{Path(given.config_dir).resolve()}")
    loader = ConfigLoaderImpl(config_search_path=path)
    problems = Overrides(loader, given.config_name or "config", given.overrides, sweep=given.multirun).problems()
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    return problems or [Problem("command line", first.rstrip(".") + ".", " ".join(rest) or "Compare it with python train.py --help.")]


@dataclass
class Overrides:
    """A command line's overrides, looked at one by one: Hydra itself stops at the first that is wrong."""

    loader: ConfigLoader
    config_name: str
    overrides: Sequence[str]
    sweep: bool = False

    def problems(self) -> list[Problem]:
        """Return what is wrong with each override, and with what the good ones compose to."""
        found: dict[str, Problem] = {}
        good: dict[str, Any] = {}
        for text in self.overrides:
            parsed = self._parse(text)
            if isinstance(parsed, Problem):
                found[text] = parsed
            else:
                good[text] = parsed
        for text, parsed in good.items():
            if self._is_group(parsed) and (wrong := self._choice(text, parsed)):
                found[text] = wrong
        groups = [text for text, parsed in good.items() if self._is_group(parsed) and text not in found]
        composed = self._compose(groups)
        if isinstance(composed, Problem):
            return [*found.values(), composed]
        for text, parsed in good.items():
            if not self._is_group(parsed) and (wrong := self._key(text, parsed, composed)):
                found[text] = wrong
        whole = self._compose([text for text in good if text not in found])
        return [*found.values(), *([whole] if isinstance(whole, Problem) else self._values(whole))]

    def _parse(self, text: str) -> Any:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        try:
            parsed = OverridesParser.create(self.loader).parse_override(text)
        except HydraException as error:
            reason = str(error).splitlines()[0].rstrip(".")
            return Problem(text, f"It cannot be read as KEY=VALUE ({reason}).", "Quote values that hold spaces, commas or brackets.")
        if parsed.is_sweep_override() and not self.sweep:
            return Problem(text, "It holds several values, and one run has one.", "Add -m to train every combination.")
        return parsed

    def _is_group(self, parsed: Any) -> bool:
        return "." not in parsed.key_or_group and bool(self.loader.get_group_options(parsed.key_or_group))

    def _choice(self, text: str, parsed: Any) -> Problem | None:
        value = parsed.value()
        options = self.loader.get_group_options(parsed.key_or_group, ObjectType.CONFIG)
        wanted = [element for element in parsed.sweep_string_iterator()] if parsed.is_sweep_override() else [value]
        for name in wanted:
            if name is not None and not isinstance(name, list | dict) and str(name) not in options and not parsed.is_delete():
                return Problem(text, f"There is no {parsed.key_or_group} called {str(name)!r}.", did_you_mean(str(name), options))
        return None

    def _key(self, text: str, parsed: Any, composed: DictConfig) -> Problem | None:
        key = parsed.key_or_group
        parent, _, name = key.rpartition(".")
        exists = OmegaConf.select(composed, key, throw_on_missing=False, default=self) is not self
        if parsed.is_add():
            return Problem(text, f"{key} is there already.", "Write it without the +.") if exists else None
        if exists or parsed.is_force_add() or key.startswith("hydra."):
            return None
        known = [dotted for dotted, _ in _nodes(OmegaConf.to_container(_without_hydra(composed)))]
        siblings = [dotted for dotted in known if dotted.rpartition(".")[0] == parent]
        elsewhere = [dotted for dotted in known if dotted.rpartition(".")[2] == name]
        close = did_you_mean(key, siblings or known)
        remedy = f"Did you mean {elsewhere[0]!r}?" if elsewhere else close
        return Problem(text, f"There is no key {key!r}.", f"{remedy}{self._addable(composed, parent, name)}")

    def _addable(self, composed: DictConfig, parent: str, name: str) -> str:
        """Say so where the section's target takes the argument, though the choice does not list it."""
        from gridstorm.target import find

        node = OmegaConf.select(composed, parent) if parent else None
        target = find(str(node.get("_target_"))) if isinstance(node, DictConfig) and "_target_" in node else None
        takes = target is not None and target.signature().get(name) is not None
        return f" {target.definition.name} does take it: write +{parent}.{name}=VALUE." if takes and target else ""

    def _compose(self, overrides: Sequence[str]) -> DictConfig | Problem:
        from hydra.types import RunMode

        mode = RunMode.MULTIRUN if self.sweep else RunMode.RUN
        try:
            return self.loader.load_configuration(self.config_name, list(overrides), run_mode=mode)
        except (HydraException, OmegaConfBaseException) as error:
            lines = [line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()]
            return Problem(" ".join(overrides) or self.config_name, f"{lines[0]}.", " ".join(lines[1:]) or "Look at the files in conf/.")

    def _values(self, composed: DictConfig) -> list[Problem]:
        try:
            accept(_without_hydra(composed), composed.hydra)
        except Refusal as refusal:
            return refusal.problems
        return []


def _without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def _nodes(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every section and value."""
    if key:
        yield key, node
    for name, value in node.items() if isinstance(node, dict) else ():
        yield from _nodes(value, f"{key}.{name}" if key else str(name))


def _ours(hydra: DictConfig) -> Iterator[Problem]:
    """Refuse what Hydra accepts and a run of ours would ignore."""
    if "LOCAL_RANK" in os.environ:  # a process that Lightning started for ddp passes Hydra's directories on
        return
    for text in hydra.overrides.hydra:
        key = text.lstrip("+~").partition("=")[0]
        if key in ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.chdir", "hydra.output_subdir"):
            yield Problem(text, "A run makes its own directory.", "Set output_dir=DIRECTORY and name=NAME.")
        if key in ("hydra/launcher", "hydra/sweeper"):
            yield Problem(text, "Gridstorm launches its trials itself.", "Remove it.")


def _choices(folders: Sequence[Path], group: str) -> dict[str, str]:
    """Return the `_target_` of each choice of a group that names one itself."""
    found = {}
    for file in (file for folder in folders for file in sorted((folder / group).glob("*.yaml"))):
        named = [line for line in file.read_text().splitlines() if line.startswith("_target_:")]
        if named:
            found.setdefault(file.stem, named[0].partition(":")[2].split("#")[0].strip())
    return found


def _origins(plain: dict[str, Any], overrides: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]) -> dict[str, str]:
    """Say for each value whether it is a default, a choice's, a preset's or the command line's."""
    given = {text.lstrip("+~").partition("=")[0] for text in overrides}
    preset = _preset(folders, choices.get("experiment"))
    chosen = {str(key).split("/")[-1] for entry in preset.get("defaults", []) for key in entry} if preset else set()
    in_preset = {key for key, _ in leaves({key: value for key, value in preset.items() if key != "defaults"})}
    origins = {}
    for key, _ in leaves(plain):
        parents = {".".join(key.split(".")[:length]) for length in range(1, key.count(".") + 2)}
        group = key.partition(".")[0]
        if parents & (given - set(GROUPS)):
            origins[key] = "command line"
        elif parents & in_preset:
            origins[key] = f"preset {choices['experiment']}"
        elif group in given & set(GROUPS):
            origins[key] = f"choice {group}={choices.get(group)}"
        elif group in chosen - {"experiment"}:
            origins[key] = f"preset {choices['experiment']}: {group}={choices.get(group)}"
        else:
            origins[key] = "default"
    return origins


def _preset(folders: Sequence[Path], name: str | None) -> dict[str, Any]:
    files = [folder / "experiment" / f"{name}.yaml" for folder in folders]
    return next((yaml.safe_load(file.read_text()) or {} for file in files if name and file.is_file()), {})


def _canonical(node: Any) -> Any:
    """Write equal values equally: 1.0 as 1."""
    if isinstance(node, dict):
        return {str(key): _canonical(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_canonical(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() else node
