"""Everything that is wrong with a composed configuration, found at once and before torch is loaded."""

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gridstorm.annotation import accepts, describe, kind, shown
from gridstorm.refusal import Problem, did_you_mean
from gridstorm.target import SPECIAL, Target, find, problem, targets
from gridstorm.task import METRICS, TORCH_LOSSES, monitors

# The root of a configuration: what is not a section with a `_target_`, with its type.
ROOT = {
    "seed": "int",
    "monitor": "str",
    "mode": "Literal['min', 'max']",
    "regularization": "dict",
    "regularization.l1": "float",
    "regularization.skip_norm_and_bias": "bool",
    "threads": "Literal['auto'] | int",
    "name": "str | None",
    "output_dir": "str",
    "resume": "str | None",
    "explain": "bool",
    "logger": "dict | None",
    "callbacks": "dict | None",
}
SECTIONS = ("data", "model", "loss", "optimizer", "scheduler", "trainer")
# What only the run knows, so that it is neither missing nor to be set.
GIVEN = {
    "model": {"input_shape", "num_outputs"},
    "optimizer": {"params"},
    "scheduler": {"optimizer"},
    "trainer": {"logger", "callbacks", "default_root_dir"},
}
COUNTED = {"total_steps", "T_max"}


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter can take, and one that is often good."""

    example: float
    low: float = 0
    high: float = math.inf
    above: bool = False  # low itself is out of range
    below: bool = False  # high itself is out of range

    def holds(self, value: float) -> bool:
        """Tell whether `value` is in the range; NaN and infinity never are."""
        over = value > self.low if self.above else value >= self.low
        under = value < self.high if self.below else value <= self.high
        return over and under and math.isfinite(value)

    def __str__(self) -> str:
        """Return the range in words."""
        low = f"{'greater than' if self.above else 'at least'} {self.low}"
        high = f"{'less than' if self.below else 'at most'} {self.high}"
        return low if self.high == math.inf else f"{low} and {high}"


# By the key's last name: a name means the same thing wherever it stands.
RANGES = {
    "lr": Range(0.001, above=True),
    "max_lr": Range(0.01, above=True),
    "weight_decay": Range(0.01),
    "l1": Range(0.0001),
    "momentum": Range(0.9, high=1, below=True),
    "betas": Range(0.9, high=1, below=True),
    "alpha": Range(0.99, high=1, below=True),
    "eps": Range(1e-8),
    "dropout": Range(0.1, high=1, below=True),
    "label_smoothing": Range(0.1, high=1, below=True),
    "gamma": Range(0.9),
    "delta": Range(1.0, above=True),
    "factor": Range(0.5, high=1),
    "step_size": Range(10, low=1),
    "warmup_steps": Range(100),
    "patience": Range(5),
    "batch_size": Range(64, low=1),
    "context": Range(128, low=1),
    "val_fraction": Range(0.1, high=1, above=True, below=True),
    "test_fraction": Range(0.2, high=1, above=True, below=True),
    "depth": Range(2),
    "width": Range(128, low=1),
    "heads": Range(4, low=1),
    "seed": Range(0, high=2**32 - 1),
    "split_seed": Range(0, high=2**32 - 1),
    "threads": Range(1, low=1),
    "max_epochs": Range(10, low=1),
    "log_every_n_steps": Range(50, low=1),
    "accumulate_grad_batches": Range(1, low=1),
    "check_val_every_n_epoch": Range(1, low=1),
    "gradient_clip_val": Range(1.0),
    "limit_train_batches": Range(1.0, above=True),
    "limit_val_batches": Range(1.0, above=True),
    "limit_test_batches": Range(1.0, above=True),
}

Choices = Mapping[str, Mapping[str, str]]


def check(config: DictConfig, choices: Choices) -> list[Problem]:
    """Return everything that is wrong with `config`; an empty list says that it can be run.

    Args:
        config: The composed configuration, interpolations unresolved.
        choices: For each group the `_target_` of each of its choices, for remedies that name the ones that fit.
    """
    unresolved = [*_unresolved(config)]
    if unresolved:
        return unresolved
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    shape = [*_shape(plain)]
    problems = [*shape, *_root(plain), *_targets(plain), *_ranges(plain)]
    return problems if shape else [*problems, *_fit(plain, choices), *_monitor(plain)]


def _unresolved(node: DictConfig | ListConfig, key: str = "") -> Iterator[Problem]:
    names = list(node) if isinstance(node, DictConfig) else range(len(node))
    for name in names:
        path = f"{key}.{name}" if key else str(name)
        if OmegaConf.is_missing(node, name):
            yield Problem(path, "It must be set and has no default.", f"Give it: {path}=VALUE.")
            continue
        written = node._get_node(name)
        try:
            value = node[name]
        except OmegaConfBaseException as error:
            fact = f"{written!s} cannot be resolved ({str(error).splitlines()[0].rstrip('.')})."
            yield Problem(path, fact, "Name a key that exists, or give a value.")
            continue
        if isinstance(value, DictConfig | ListConfig) and not OmegaConf.is_interpolation(node, name):
            yield from _unresolved(value, path)


def _shape(plain: dict[str, Any]) -> Iterator[Problem]:
    """Every section is there and describes one object."""
    for name in SECTIONS:
        if not isinstance(plain.get(name), dict) or "_target_" not in plain[name]:
            yield Problem(name, "A run needs one, and there is none.", f"Choose one: {name}=NAME (python train.py --help lists them).")
    for name in plain:
        if name not in ROOT and name not in SECTIONS:
            yield Problem(name, "No run reads this key.", did_you_mean(name, [*SECTIONS, *ROOT]))


def _root(plain: dict[str, Any]) -> Iterator[Problem]:
    for key, annotation in ROOT.items():
        section, _, name = key.rpartition(".")
        holder = plain.get(section) if section else plain
        if not isinstance(holder, dict):
            continue
        if name not in holder:
            yield Problem(key, "It is missing.", f"Leave it in its place, or set it with +{key}=VALUE.")
        else:
            yield from _typed(key, holder[name], ast.parse(annotation, mode="eval").body)
    for name in plain.get("regularization") or {}:
        if f"regularization.{name}" not in ROOT:
            known = [key.partition(".")[2] for key in ROOT if key.startswith("regularization.")]
            yield Problem(f"regularization.{name}", "No run reads this key.", did_you_mean(name, known))


def _targets(plain: dict[str, Any]) -> Iterator[Problem]:
    for key, path in targets(plain):
        found = problem(key, path)
        if found:
            yield found
            continue
        target = find(path)
        assert target is not None
        yield from _arguments(key, _at(plain, key), target)


def _arguments(key: str, node: dict[str, Any], target: Target) -> Iterator[Problem]:
    """The keys of a section are the arguments of its target, each of the right type."""
    signature, given = target.signature(), GIVEN.get(key, set())
    names = {argument.name for argument in signature.arguments} - given
    for name, value in node.items():
        argument = signature.get(name)
        if name in SPECIAL:
            continue
        if name in given:
            yield Problem(f"{key}.{name}", "The run itself gives this argument.", f"Remove {key}.{name}.")
        elif argument and argument.annotation is not None:
            yield from _typed(f"{key}.{name}", value, argument.annotation)
        elif not argument and not signature.open:
            fact = f"{target.definition.name} takes no argument {name!r}."
            yield Problem(f"{key}.{name}={value}", fact, did_you_mean(name, names))
    for argument in signature.arguments:
        required = argument.required and argument.name not in given | COUNTED | set(node)
        if required and "_args_" not in node:
            yield Problem(f"{key}.{argument.name}", f"{target.definition.name} cannot be built without it.", f"Give it: +{key}.{argument.name}=VALUE.")


def _typed(key: str, value: Any, annotation: ast.expr) -> Iterator[Problem]:
    if accepts(annotation, value):
        return
    wanted, example = describe(annotation), RANGES.get(key.rpartition(".")[2])
    remedy = f"Give {wanted}, for example {key}={example.example:g}." if example else f"Give {wanted}."
    yield Problem(f"{key}={shown(value)}", f"It must be {wanted}, and this is {kind(value)}.", remedy)


def _ranges(node: Any, key: str = "") -> Iterator[Problem]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _ranges(value, f"{key}.{name}" if key else str(name))
        return
    name = key.rpartition(".")[2]
    values = node if isinstance(node, list) else [node]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if name in RANGES and not all(RANGES[name].holds(number) for number in numbers):
        example = f"[{RANGES[name].example:g},...]" if isinstance(node, list) else f"{RANGES[name].example:g}"
        yield Problem(f"{key}={shown(node)}", f"It must be {RANGES[name]}.", f"Give such a number, for example {key}={example}.")


def _fit(plain: dict[str, Any], choices: Choices) -> Iterator[Problem]:
    """The loss fits the task of the data, and the model takes its kind of input."""
    task, inputs = (_constant(plain["data"]["_target_"], name) for name in ("task", "inputs"))
    data = _choice(plain, "data", choices)
    wanted = {"loss": (task, "tasks", f"is {str(task).replace('_', ' ')}"), "model": (inputs, "inputs", f"yields {inputs} input")}
    for group, (need, constant, words) in wanted.items():
        fits = _constant(plain[group]["_target_"], constant)
        if need is None or fits is None or need in fits:
            continue
        good = [name for name, path in choices.get(group, {}).items() if need in (_constant(path, constant) or ())]
        fact = f"It does not fit {data}, which {words}."
        yield Problem(_choice(plain, group, choices), fact, f"Choose one that does: {', '.join(f'{group}={name}' for name in good)}.")


def _constant(path: str, name: str) -> Any:
    target = find(path) if isinstance(path, str) else None
    if target is None:
        return None
    return TORCH_LOSSES.get(target.path) if name == "tasks" and target.path in TORCH_LOSSES else target.constant(name)


def _choice(plain: dict[str, Any], group: str, choices: Choices) -> str:
    """Return `group=choice` for the section's target, or its class where no choice of the group has it."""
    path = plain[group]["_target_"]
    return f"{group}={next((name for name, target in choices.get(group, {}).items() if target == path), path)}"


def _monitor(plain: dict[str, Any]) -> Iterator[Problem]:
    """Whatever monitors a metric names one that the task logs, in the direction in which it is better."""
    task = _constant(plain["data"]["_target_"], "task")
    if task not in METRICS:
        return
    known = monitors(task)
    for key, holder in _holders(plain, "monitor"):
        name, mode = holder["monitor"], holder.get("mode")
        prefix = f"{key}." if key else ""
        if not isinstance(name, str):
            continue
        if name not in known:
            fact = f"A run of {task.replace('_', ' ')} never logs it."
            yield Problem(f"{prefix}monitor={name}", fact, did_you_mean(name, known))
        elif mode in ("min", "max") and mode != known[name]:
            words = "smaller" if known[name] == "min" else "larger"
            yield Problem(f"{prefix}mode={mode}", f"{name} is better when it is {words}.", f"Set {prefix}mode={known[name]}.")


def _holders(node: Any, name: str, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every dictionary that has the key `name`, with its own key."""
    if isinstance(node, dict):
        if name in node:
            yield key, node
        for child, value in node.items():
            yield from _holders(value, name, f"{key}.{child}" if key else str(child))


def _at(node: Any, key: str) -> Any:
    for name in key.split(".") if key else ():
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node
