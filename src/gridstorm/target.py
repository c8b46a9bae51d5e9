"""What a `_target_` is, what it takes and whether it may be built: read from its source, without importing it."""

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gridstorm.refusal import Problem, Refusal, did_you_mean

# Where a target must be *defined*: `torch.nn.os.system` is defined in `os`, whatever path leads to it.
ALLOWED = (
    *(f"gridstorm.{family}." for family in ("data", "model", "loss", "scheduler", "callbacks")),
    "torch.nn.",
    "torch.optim.",
    "torchmetrics.",
    *(f"pytorch_lightning.{part}." for part in ("trainer", "callbacks", "loggers", "strategies", "profilers", "plugins")),
)
ALLOW_VARIABLE = "GRIDSTORM_ALLOW"
SPECIAL = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}

Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Argument:
    """One argument of a target; `annotation` is its type as written, None where nothing is written."""

    name: str
    annotation: ast.expr | None
    required: bool


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
    def path(self) -> str:
        """The dotted path of the definition, such as `torch.optim.adamw.AdamW`."""
        return f"{self.module}.{self.definition.name}"

    def signature(self) -> Signature:
        """Return what a call of the target takes."""
        if isinstance(self.definition, ast.FunctionDef):
            return _arguments(self.definition, skip=0)
        for owner in self.ancestry():
            for node in owner.definition.body:
                if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                    return _arguments(node, skip=1)
        return Signature((), open=True)

    def constant(self, name: str) -> Any:
        """Return the literal that the class, or the nearest of its bases, binds to `name`; None if none does."""
        for owner in self.ancestry():
            for node in owner.definition.body:
                names = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                if any(isinstance(bound, ast.Name) and bound.id == name for bound in names):
                    return ast.literal_eval(node.value)  # type: ignore[attr-defined]
        return None

    def ancestry(self) -> Iterator["Target"]:
        """Yield the class and its bases, nearest first, as far as they can be read."""
        yield self
        for base in getattr(self.definition, "bases", ()):
            found = _find_in(self.module, ast.unparse(base).split("[")[0])
            if found:
                yield from found.ancestry()


def find(path: str) -> Target | None:
    """Return the target at a dotted path, None where there is no class or function that can be read."""
    module, _, name = path.rpartition(".")
    return _find_in(module, name) if module and _source(module) else None


def names_beside(path: str) -> list[str]:
    """Return the dotted paths of the public classes that stand in the same module as `path`."""
    module, _, _ = path.rpartition(".")
    tree = _tree(module)
    names = {alias.asname or alias.name for node in _statements(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    names |= {node.name for node in _statements(tree) if isinstance(node, ast.ClassDef)}
    return [f"{module}.{name}" for name in names if name[:1].isupper()]


def allowed(target: Target) -> bool:
    """Tell whether configuration may name this target (ALLOWED, and the packages in $GRIDSTORM_ALLOW)."""
    own = [f"{name.strip()}." for name in os.environ.get(ALLOW_VARIABLE, "").split(",") if name.strip()]
    return target.path.startswith((*ALLOWED, *own))


def problem(key: str, path: Any) -> Problem | None:
    """Return why the `_target_` at `key` may not be built, None if it may."""
    given = f"{key}._target_={path}"
    if not isinstance(path, str) or "." not in path:
        return Problem(given, "A target is the dotted path of a class.", "Give one, such as torch.optim.AdamW.")
    target = find(path)
    if target and allowed(target):
        return None
    if not target and path.startswith(ALLOWED):
        return Problem(given, "There is no such class.", did_you_mean(path, names_beside(path)))
    package = path.split(".")[0]
    remedy = f"If {package} is your own code and you trust it, allow it: {ALLOW_VARIABLE}={package} python train.py ..."
    if package in sys.stdlib_module_names:
        remedy = "Name a class of one of these, such as torch.optim.AdamW."
    return Problem(given, "Configuration may only build choices of gridstorm, torch and Lightning.", remedy)


def build(node: Mapping[str, Any], **given: Any) -> Any:
    """Build what `node` describes, after `problem` was asked of every target in it; the one call of `instantiate`.

    Raises:
        Refusal: A target is missing or not allowed, or its constructor says in a ValueError that a value is wrong.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    problems = [found for key, path in targets(node) if (found := problem(key, path))]
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


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (key, path) for every `_target_` in a plain configuration."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node["_target_"]
        for name, value in node.items():
            yield from targets(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from targets(value, f"{key}.{index}")


def _find_in(module: str, name: str, seen: frozenset[str] = frozenset()) -> Target | None:
    """Follow `name` in `module` to its definition, through imports."""
    head, _, rest = name.rpartition(".")
    if head or f"{module}.{name}" in seen:
        imported = _module_named(module, head) if head else None
        return _find_in(imported, rest, seen) if imported else None
    seen |= {f"{module}.{name}"}
    stars = []
    for node in reversed(list(_statements(_tree(module)))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return Target(module, node)
        if isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find_in(origin, alias.name, seen)
                if alias.name == "*":
                    stars.append(origin)
    return next((found for origin in stars if (found := _find_in(origin, name, seen))), None)


def _module_named(module: str, name: str) -> str | None:
    """Return the dotted path of the module that `name` stands for inside `module`."""
    for node in _statements(_tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return alias.name
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return f"{_origin(module, node)}.{alias.name}"
    return None


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
def _tree(module: str) -> ast.Module:
    """Return a module's syntax tree, an empty one where there is no source."""
    source = _source(module)
    return ast.parse(source.read_bytes() if source else b"")


def _arguments(function: ast.FunctionDef, skip: int) -> Signature:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    pairs = [*zip(positional, defaults, strict=True)][skip:] + [*zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    arguments = tuple(Argument(arg.arg, arg.annotation, default is None) for arg, default in pairs)
    return Signature(arguments, open=spec.kwarg is not None)
