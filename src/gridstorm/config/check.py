"""Everything that is wrong with a configuration, found at once and before torch is loaded."""

import ast
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gridstorm.config.compatibility import compatible
from gridstorm.config.file import weights_file
from gridstorm.config.group import (
    MAPPINGS,
    OBJECT,
    OF_BATCHES,
    OF_RUNS,
    PACKAGES,
    PARTIAL,
    SECTIONS,
    given,
    is_of_tensors,
    left_out,
    offered,
)  # fmt: skip
from gridstorm.config.limit import ADDED, ANY, CONFIG, MANIFEST, RANGES, TRAINER_TYPES, TYPES, Range, is_file, misnamed
from gridstorm.config.recipe import RunConfig
from gridstorm.config.resolve import copies, interpolated, no_data, original, resolve
from gridstorm.error import Problem, UserError, closest, did_you_mean
from gridstorm.target import (
    SPECIAL,
    Target,
    accepts,
    as_installed,
    command,
    describe,
    find,
    foreign_import,
    is_a_librarys,
    kind,
    literals,
    of_values,
    problem,
    shown,
    targets,
    written,
)


def resolved(
    config: DictConfig, folders: Collection[Path] = (), unknown: Collection[str] = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Resolve a configuration, once: return its plain values, and everything that is wrong with these very values.

    Args:
        config: The composed configuration, interpolations unresolved, without Hydra's node.
        folders: Where the choices' files are, for remedies that name the choices that fit.
        unknown: Groups whose choice is not known, so that nothing is said of their sections.
    """
    plain, unresolved = resolve(config)
    for name in left_out(plain):
        plain.pop(name, None)
    plain = _with_loggers(_as_installed(plain))
    problems = check_values(plain, folders, unknown)
    if not problems:
        return plain, unresolved
    reported = told_once(problems, copies(config), unresolved, unknown)
    return plain, [*unresolved, *_with_decoding(reported, interpolated(config))]


def _with_decoding(problems: Sequence[Problem], written: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield problems; where a resolver gave a text, such as one of the environment, the remedy makes a value of it."""
    for wrong in problems:
        text = str(written.get(wrong.path, ""))
        if ":" in text and wrong.fact.endswith("and this is text."):
            yield replace(wrong, remedy=f"Write '{wrong.path}=\"${{oc.decode:{text}}}\"'.")
        else:
            yield wrong


def check_values(
    plain: Mapping[str, Any], folders: Collection[Path] = (), unknown: Collection[str] = ()
) -> list[Problem]:
    """Return everything that is wrong with a resolved configuration; a copied value is told of at each place."""
    shape = [*_shape(plain)]
    return [*shape, *_root(plain), *_targets(plain), *([] if shape else compatible(plain, folders, unknown))]


def checked_again(config: RunConfig) -> RunConfig:
    """Return a configuration that was read from a record, after it was checked as if it came from someone else.

    Raises:
        UserError: Something is wrong with it; every problem is in it.
    """
    if problems := no_data(config.values):
        raise UserError(problems)
    values = _with_loggers(config.values)
    if problems := [one for one in told_once(check_values(values), {}) if one.path not in config.objects]:
        raise UserError(problems)
    return config if values is config.values else replace(config, values=values)


def _as_installed(node: Any) -> Any:
    """Return a configuration whose classes of the package `lightning` are those that Gridstorm builds on."""
    if isinstance(node, dict):
        inner = {key: _as_installed(value) for key, value in node.items()}
        path = inner.get("_target_")
        return {**inner, "_target_": as_installed(path)} if isinstance(path, str) else inner
    return [_as_installed(item) for item in node] if isinstance(node, list) else node


def _with_loggers(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose one logger, as it was written before there could be several, is one of them."""
    return {**plain, "logger": {"logger": plain["logger"]}} if _describes(plain.get("logger")) else plain


def told_once(
    problems: Sequence[Problem],
    copied: Mapping[str, str],
    unresolved: Sequence[Problem] = (),
    unknown: Collection[str] = (),
) -> list[Problem]:
    """Leave out what is told already: of copies of a value that is wrong, and of what could not be resolved."""
    silent = {problem.path for problem in unresolved}
    wrong = silent | {problem.path for problem in problems}
    return [
        problem
        for problem in problems
        if problem.path not in silent
        and problem.path.partition(".")[0] not in unknown
        and (original(problem.path, copied) == problem.path or original(problem.path, copied) not in wrong)
    ]


def _shape(plain: Mapping[str, Any]) -> Iterator[Problem]:
    """Every section is there and describes one object, and so does every callback."""
    without = left_out(plain)
    for name in (name for name in SECTIONS if name not in without):
        if not _describes(plain.get(name)):
            remedy = f"Choose one: {name}=NAME ({command('--help')} lists them)."
            fact = "A run needs one, and there is none."
            if isinstance(plain.get(name), dict) and plain[name]:
                fact = f"It has {', '.join(plain[name])}, and no _target_ that says which class takes it."
                remedy = f"Begin its file with _target_: PACKAGE.MODULE.CLASS, or choose one: {name}=NAME."
            yield Problem(name, fact, remedy)
    for group in MAPPINGS:
        held = plain.get(group)
        for name, node in held.items() if isinstance(held, dict) else ():
            if node is not None and not _describes(node):
                key, fact = f"{group}.{name}", f"A {group.rstrip('s')} is a section with a _target_."
                yield Problem(f"{key}={shown(node)}", fact, f"Leave it out with ~{key}.")


def _describes(node: Any) -> bool:
    return isinstance(node, dict) and "_target_" in node


def _root(plain: Mapping[str, Any]) -> Iterator[Problem]:
    """The keys outside the sections are those that a run reads, each of the right type."""
    without = left_out(plain)
    for key, annotation in {**TYPES, **TRAINER_TYPES}.items():
        if key.partition(".")[0] in without:
            continue
        section, _, name = key.rpartition(".")
        holder = plain.get(section) if section else plain
        if isinstance(holder, dict) and name in holder:
            yield from _value(key, holder[name], written(annotation), RANGES)
        elif isinstance(holder, dict) and key in TYPES and key not in ADDED:
            yield Problem(key, "It is missing.", f"Leave it where it is, or write ++{key}=VALUE.")
    sections = {name: content for name in ("regularization", "sweep") if isinstance(content := plain.get(name), dict)}
    inner = {f"{name}.{inner}": value for name, content in sections.items() for inner, value in content.items()}
    names = [*TYPES, *SECTIONS]
    held: dict[str, Any] = {**{str(name): value for name, value in plain.items()}, **inner}
    for key, value in held.items():
        if key not in names:
            text = key if isinstance(value, dict) else f"{key}={shown(value)}"
            remedy = did_you_mean(key, closest(key, [option for option in names if ("." in option) == ("." in key)]))
            if key == "experiment":
                remedy = "Begin the preset's file with # @package _global_."
            yield Problem(text, "Unknown key.", remedy)
    yield from _places(plain)


def _places(plain: Mapping[str, Any]) -> Iterator[Problem]:
    """A run's name is that of one directory, and what is to be resumed is there."""
    resume, sweep = plain.get("resume"), plain.get("sweep")
    names = {"name": plain.get("name"), "sweep.name": sweep.get("name") if isinstance(sweep, dict) else None}
    for key, name in names.items():
        if isinstance(name, str) and (wrong := misnamed(key, name)):
            yield wrong
    before = sweep.get("from") if isinstance(sweep, dict) else None
    if isinstance(before, str) and not is_file(Path(before, MANIFEST)):
        yield Problem(f"sweep.from={before}", "There is no sweep in this directory.", "Name the directory of a sweep.")
    source = plain.get("init_from")
    if isinstance(source, str) and weights_file(source) is None:
        remedy = "Name the directory of a run, or a file of weights."
        yield Problem(f"init_from={source}", "There are no weights here.", remedy)
    if plain.get("horizon") == "stretch" and not (resume or plain.get("parent")):
        remedy = "Write resume=RUN trainer.max_epochs=N horizon=stretch."
        yield Problem("horizon=stretch", "It is of a run that is trained longer than it was.", remedy)
    if plain.get("find") and (resume or plain.get("branch")):
        yield Problem(f"find={plain['find']}", "It is asked of a run that begins.", "Leave out resume= or branch=.")
    if resume and plain.get("branch"):
        fact = "A run goes on as it was, or begins as a branch of another one."
        yield Problem("branch", fact, "Leave out resume= or branch=.")
    if isinstance(resume, str) and not is_file(Path(resume, CONFIG)):
        remedy = "Name the directory that a run printed at its end."
        yield Problem(f"resume={resume}", "There is no run in this directory.", remedy)


def _targets(plain: Mapping[str, Any]) -> Iterator[Problem]:
    for key, node in targets(plain):
        if made := node.get(OBJECT):
            fact = f"Python gave it as an object of {made}, which a record cannot build again."
            remedy = f"Give it again: gridstorm.train(config, {key}=...), or gridstorm.Run(DIRECTORY, {key}=...)."
            yield Problem(key, fact, remedy)
            continue
        if wrong := problem(key, node["_target_"]):
            yield wrong
            continue
        target = find(node["_target_"])
        assert target is not None
        if (needed := PACKAGES.get(target.path)) and find_spec(needed[0]) is None:
            fact = f"{target.name} needs a package that is not installed."
            yield Problem(key, fact, f"pip install {needed[1]}")
        if foreign := None if is_a_librarys(target.path) else foreign_import(target.module):
            file, line, statement = foreign
            fact = f"{file}, line {line}, imports lightning, whose classes are not those of pytorch_lightning."
            yield Problem(f"{key}._target_={node['_target_']}", fact, f"Write there: {statement}.")
            continue
        yield from _partial(key, node)
        yield from _arguments(key, node, target)


def _partial(key: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    """The run completes some sections, and uses the others as they are."""
    is_part = key in SECTIONS or key.partition(".")[0] in MAPPINGS
    if is_part and bool(node.get("_partial_")) != (key in PARTIAL):
        needed = "true: the run completes it" if key in PARTIAL else "false: the run takes it as it is"
        text = f"{key}._partial_={shown(node['_partial_'])}" if "_partial_" in node else f"{key}._partial_"
        yield Problem(text, f"It must be {needed}.", f"Write ++{key}._partial_={needed.partition(':')[0]}.")


def _arguments(key: str, node: Mapping[str, Any], target: Target) -> Iterator[Problem]:
    """The keys of a section are the arguments of its target, each of the right type and in its range."""
    signature, supplied = target.signature(), given(key, target)
    limits = RANGES if is_a_librarys(target.path) else {}  # a name of your own may mean anything
    for name, value in node.items():
        argument, dotted = signature.get(name), f"{key}.{name}"
        if name in supplied:
            yield Problem(f"{dotted}={shown(value)}", "The run sets this itself.", supplied[name])
        elif argument and key == "loss" and is_of_tensors(argument):
            yield from _class_weights(dotted, value)
        elif argument:
            yield from _value(dotted, value, argument.type, limits)
        elif name in OF_RUNS.get(key, {}):
            yield from _of_the_run(key, name, value, target)
        elif name in SPECIAL:
            yield from _value(dotted, value, written(SPECIAL[name]), limits)
        elif name == "_args_" or (name != "_target_" and not signature.open):
            names = [argument.name for argument in signature.arguments if argument.name not in supplied]
            yield Problem(f"{dotted}={shown(value)}", f"{target.name} takes no {name!r}.", did_you_mean(name, names))
    for argument in () if node.get("_partial_") and key not in PARTIAL else signature.arguments:
        if argument.required and argument.name not in {*supplied, *node, *offered(key)}:
            dotted = f"{key}.{argument.name}"
            yield Problem(dotted, f"{target.name} cannot be built without it.", f"Write +{dotted}=VALUE.")


def _of_the_run(key: str, name: str, value: Any, target: Target) -> Iterator[Problem]:
    """What the run itself reads of a section is of its type, and names what there is to name."""
    yield from _value(f"{key}.{name}", value, written(OF_RUNS[key][name]), {})
    if name == "groups" and isinstance(value, dict):
        yield from _groups(value, target, RANGES if is_a_librarys(target.path) else {})
    for inner, item in value.items() if name == "batch" and isinstance(value, dict) else ():
        dotted = f"{key}.{name}.{inner}"
        if inner in OF_BATCHES:
            yield from _value(dotted, item, written(OF_BATCHES[inner]), {"num_outputs": Range(10, low=1)})
        else:
            fact = "A batch has an input x and a target y, and num_outputs classes."
            yield Problem(f"{dotted}={shown(item)}", fact, did_you_mean(str(inner), OF_BATCHES))


def _groups(groups: Mapping[str, Any], target: Target, limits: Mapping[str, Range]) -> Iterator[Problem]:
    """What is set for some parameters are arguments of the optimizer, each of the right type and in its range."""
    signature = target.signature()
    names = [argument.name for argument in signature.arguments if argument.name != "params"]
    for pattern, settings in groups.items():
        dotted = f"optimizer.groups.{pattern}"
        if not isinstance(settings, dict):
            remedy = f"Write 'optimizer.groups={{{pattern}:{{lr:1e-4}}}}'."
            yield Problem(f"{dotted}={shown(settings)}", "It must say what is set for these parameters.", remedy)
            continue
        for name, value in settings.items():
            argument = signature.get(name)
            if argument and name != "params":
                yield from _value(f"{dotted}.{name}", value, argument.type, limits)
            else:
                fact = f"{target.name} takes no {name!r}."
                yield Problem(f"{dotted}.{name}={shown(value)}", fact, did_you_mean(str(name), names))


def _class_weights(key: str, value: Any) -> Iterator[Problem]:
    """A tensor that a loss takes is written as a list of numbers, and the weights of classes as `balanced` too."""
    numbers = isinstance(value, list) and all(
        isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item) for item in value
    )
    balanced = key.endswith(".weight")
    if not (value is None or numbers or (balanced and value == "balanced")):
        fact = f"It must be null, {'balanced, ' if balanced else ''}or a list of numbers, and this is {kind(value)}."
        yield Problem(f"{key}={shown(value)}", fact, f"Give one for each class: {key}=[1,2.5].")


def _value(key: str, value: Any, annotation: ast.expr | None, limits: Mapping[str, Range]) -> Iterator[Problem]:
    """A value is of its type, and every number in its range."""
    limit = limits.get(key.rpartition(".")[2], ANY)
    inner = of_values(annotation) if annotation is not None and isinstance(value, dict) else None
    if inner is not None and "_target_" not in value:
        for name, item in value.items():
            yield from _value(f"{key}.{name}", item, inner, limits)
        return
    if annotation is not None and not accepts(annotation, value):
        yield _wrong_type(key, value, annotation, limit)
        return
    values = value if isinstance(value, list) else [value]
    numbers = [item for item in values if isinstance(item, int | float) and not isinstance(item, bool)]
    if not all(limit.holds(item) for item in numbers):
        finite = "" if limit is ANY or all(map(math.isfinite, numbers)) else " and finite"
        yield Problem(f"{key}={shown(value)}", f"It must be {limit}{finite}.", f"Try {_example(key, limit)}.")


def _wrong_type(key: str, value: Any, annotation: ast.expr, limit: Range) -> Problem:
    expected, listed, name = (
        describe(annotation),
        [str(option) for option in literals(annotation)],
        key.rpartition(".")[2],
    )
    text, fact = f"{key}={shown(value)}", f"It must be {expected}, and this is {kind(value)}."
    single = listed and isinstance(value, str | int | float)
    if single and (closest(shown(value), listed) or set(expected.split(" or ")) <= {*listed, "null"}):
        return Problem(text, f"There is no {name} called {shown(value)!r}.", did_you_mean(shown(value), listed))
    if "text" in expected and isinstance(value, bool | int | float):
        return Problem(text, fact, f"Quote it: '{key}=\"{shown(value)}\"'.")
    if isinstance(value, float) and value.is_integer() and "a whole number" in expected:
        return Problem(text, fact, f"Write {key}={int(value)}.")
    return Problem(text, fact, f"Give {expected}." if limit is ANY else f"Try {_example(key, limit)}.")


def _example(key: str, limit: Range) -> str:
    good = limit.example if isinstance(limit.example, tuple) else (limit.example,)
    text = ",".join(f"{item:g}" for item in good)
    return f"{key}=[{text}]" if isinstance(limit.example, tuple) else f"{key}={text}"
