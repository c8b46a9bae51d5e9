"""What a `_target_` is, what it takes and whether it may be built: read from its source, without importing it."""

import ast
import builtins
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gridstorm.refusal import Problem, Refusal, closest, did_you_mean

# Where a class must be *defined*: `torch.nn.os.system` is defined in `os`, whatever path leads to it.
ALLOWED = (
    *(f"gridstorm.{family}." for family in ("data", "model", "loss", "scheduler", "callbacks")),
    "torch.nn.",
    "torch.optim.",
    "torchmetrics.",
    *(
        f"pytorch_lightning.{part}."
        for part in ("trainer", "callbacks", "loggers", "strategies", "profilers", "plugins")
    ),
)
LIBRARIES = {prefix.split(".")[0] for prefix in ALLOWED}
ALLOW_VARIABLE = "GRIDSTORM_ALLOW"
SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_"}

Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Argument:
    """One argument of a target; `annotation` is its type as written in `module`, None where nothing is written."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    module: str

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is None

    @property
    def type(self) -> ast.expr | None:
        """The annotation, or what it stands for where it is a name for a type, such as `Activation`."""
        named = isinstance(self.annotation, ast.Name) and self.annotation.id not in dir(builtins)
        found = _find_in(self.module, ast.unparse(self.annotation)) if self.annotation and named else None
        return found if isinstance(found, ast.expr) else self.annotation


@dataclass(frozen=True)
class Signature:
    """The arguments of a target; `open` where it takes any other keyword too, or cannot be read."""

    arguments: tuple[Argument, ...]
    open: bool = False

    def get(self, name: str) -> Argument | None:
        """Return the argument called `name`, None if there is none."""
        return next((argument for argument in self.arguments if argument.name == name), None)


@dataclass(frozen=True)
class Target:
    """A class or a function at the place of its definition."""

    module: str
    definition: Definition

    @property
    def name(self) -> str:
        """The name alone, such as `AdamW`."""
        return self.definition.name

    @property
    def path(self) -> str:
        """The dotted path of the definition, such as `torch.optim.adamw.AdamW`."""
        return f"{self.module}.{self.name}"

    def signature(self) -> Signature:
        """Return what a call of the target takes."""
        if isinstance(self.definition, ast.FunctionDef):
            return _arguments(self.module, self.definition, skip=0)
        for owner in self.ancestry():
            for node in owner.definition.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    return _arguments(owner.module, node, skip=1)
        return Signature((), open=True)

    def constant(self, name: str) -> Any:
        """Return the literal that the class, or the nearest of its bases, binds to `name`; None if none does."""
        for owner in self.ancestry():
            for node in owner.definition.body:
                bound = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                value = getattr(node, "value", None)
                if value and any(isinstance(one, ast.Name) and one.id == name for one in bound):
                    return _literal(value)
        return None

    def ancestry(self) -> Iterator["Target"]:
        """Yield the class and its bases, nearest first, as far as they can be read."""
        yield self
        for base in getattr(self.definition, "bases", ()):
            found = _find_in(self.module, ast.unparse(base).split("[")[0])
            if isinstance(found, Target) and found.path != self.path:
                yield from found.ancestry()


@lru_cache(maxsize=None)
def find(path: str) -> Target | None:
    """Return the target at a dotted path, None where there is no class or function that can be read."""
    module, _, name = path.rpartition(".")
    readable = module and all(map(str.isidentifier, path.split("."))) and _source(module)
    found = _find_in(module, name) if readable else None
    return found if isinstance(found, Target) else None


def names_beside(path: str) -> list[str]:
    """Return the dotted paths of the public classes that stand in the same module as `path`."""
    module, _, _ = path.rpartition(".")
    return [f"{module}.{name}" for name in _names(module) if name[:1].isupper()]


def allowed(target: Target) -> bool:
    """Tell whether configuration may name this target: a class under ALLOWED, or anything in $GRIDSTORM_ALLOW."""
    own = tuple(f"{name.strip()}." for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip())
    return target.path.startswith(own) or (
        target.path.startswith(ALLOWED) and isinstance(target.definition, ast.ClassDef)
    )


def problem(key: str, path: Any) -> Problem | None:
    """Return why the `_target_` at `key` may not be built, None if it may."""
    given = f"{key}._target_={path}".lstrip(".")
    if not isinstance(path, str) or not re.fullmatch(r"\w+(\.\w+)+", path):
        return Problem(given, "A target is the dotted path of a class.", "Give one, such as torch.optim.AdamW.")
    target, package = find(path), path.split(".")[0]
    if target and allowed(target):
        return None
    if not target and package in LIBRARIES:
        close = [name for name in closest(path, names_beside(path)) if (other := find(name)) and allowed(other)]
        remedy = did_you_mean(path, close) if close else "Give the path of one, such as torch.optim.AdamW."
        return Problem(given, "There is no such class.", remedy)
    remedy = "Name one of these, such as torch.optim.AdamW."
    if package not in LIBRARIES | set(sys.stdlib_module_names):
        remedy = (
            f"If {package} is your own code and you trust it, allow it: {ALLOW_VARIABLE}={package} python train.py ..."
        )
    return Problem(given, "Configuration may only build classes of gridstorm's choices, torch and Lightning.", remedy)


def build(node: Mapping[str, Any], **given: Any) -> Any:
    """Build what `node` describes, after `problem` was asked of every target in it; the one call of `instantiate`.

    Raises:
        Refusal: A target is missing or not allowed, or its constructor says in a ValueError that a value is wrong.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    problems = [found for key, part in targets(node) if (found := problem(key, part["_target_"]))]
    if problems:
        raise Refusal(problems)
    try:
        return instantiate(node, **given)
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise refused(str(node["_target_"]), error.__cause__) from error
        raise


def refused(key: str, error: Exception) -> Refusal:
    """Return the refusal for an error whose message already says what was given and what to do."""
    fact, _, remedy = str(error).strip().partition(". ")
    return Refusal([Problem(key, fact.rstrip(".") + ".", remedy)])


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (key, node) for every node of a plain configuration that has a `_target_`."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from targets(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from targets(value, f"{key}.{index}" if key else str(index))


def _find_in(module: str, name: str, seen: frozenset[str] = frozenset()) -> Target | ast.expr | None:
    """Follow `name` in `module` to its definition, through imports: a target, or the type that the name stands for."""
    head, _, rest = name.rpartition(".")
    if head or f"{module}.{name}" in seen:
        imported = _module_named(module, head) if head else None
        return _find_in(imported, rest, seen) if imported else None
    node = _definition(module, name)
    if node:
        return node if isinstance(node, ast.expr) else Target(module, node)
    seen |= {f"{module}.{name}"}
    stars = []
    for imported, alias in _imports(module):
        if (alias.asname or alias.name) == name:
            return _find_in(imported, alias.name, seen)
        if alias.name == "*":
            stars.append(imported)
    return next((found for origin in stars if (found := _find_in(origin, name, seen))), None)


def _definition(module: str, name: str) -> Definition | ast.expr | None:
    """Return the class, the function or the assigned type called `name`, parsed alone: torch's modules are long."""
    head = rf"(?:class|def) {name}\b|{name}(?:: \w+)? = (?=[A-Z])"
    block = re.search(rf"^(?:{head}).*?(?=^[^\s#)\]}}]|\Z)", _text(module), re.MULTILINE | re.DOTALL)
    if not block:
        return None
    try:
        node = ast.parse(block.group()).body[0]
    except SyntaxError:  # a line of its text stands at the margin
        named = (node for node in _tree(module).body if getattr(node, "name", None) == name)
        node = next(named, ast.Pass())
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value
    return node if isinstance(node, ast.ClassDef | ast.FunctionDef) else None


def _names(module: str) -> set[str]:
    """Return the classes that a module defines or imports."""
    names = {node.name for node in _statements(_tree(module)) if isinstance(node, ast.ClassDef)}
    for origin, alias in _imports(module):
        names |= _names(origin) if alias.name == "*" else {alias.asname or alias.name}
    return names


def _module_named(module: str, name: str) -> str | None:
    """Return the dotted path of the module that `name` stands for inside `module`."""
    for node in _statements(_tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return alias.name
    origins = (f"{origin}.{alias.name}" for origin, alias in _imports(module) if (alias.asname or alias.name) == name)
    return next(origins, None)


def _imports(module: str) -> Iterator[tuple[str, ast.alias]]:
    """Yield (module, name) for every `from ... import` of a module, the last first: it wins."""
    for node in reversed(list(_statements(_tree(module)))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield _origin(module, node), alias


def _origin(module: str, node: ast.ImportFrom) -> str:
    """Return the module that a `from ... import` inside `module` names."""
    if not node.level:
        return node.module or ""
    source = _source(module)
    parts = module.split(".")
    keep = len(parts) - node.level + (source is not None and source.name == "__init__.py")
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _statements(tree: ast.Module | ast.If | ast.Try) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those inside top-level `if` and `try` too."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements(node)


@lru_cache(maxsize=None)
def _source(module: str) -> Path | None:
    """Return a module's source file; only the top-level package is asked of the import system, which imports nothing."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    file = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for name in rest:
        places = [place for folder in folders for place in (folder / name / "__init__.py", folder / f"{name}.py")]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            return None
        folders = [file.parent] if file.name == "__init__.py" else []
    return file


@lru_cache(maxsize=None)
def _text(module: str) -> str:
    """Return a module's source, an empty text where there is none."""
    source = _source(module)
    return source.read_text(encoding="utf-8", errors="replace") if source else ""


@lru_cache(maxsize=None)
def _tree(module: str) -> ast.Module:
    """Return a module's syntax tree, an empty one where there is no source or no Python in it."""
    try:
        return ast.parse(_text(module))
    except SyntaxError:
        return ast.Module([], [])


def _arguments(module: str, function: ast.FunctionDef, skip: int) -> Signature:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    pairs = [*zip(positional, defaults, strict=True)][skip:] + [*zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    arguments = tuple(Argument(arg.arg, arg.annotation, default, module) for arg, default in pairs)
    return Signature(arguments, open=spec.kwarg is not None)


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None
