"""What a `_target_` is, what it takes and whether it may be built: read from its source, without importing it."""

import ast
import builtins
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gridstorm.error import Problem, closest, did_you_mean
from gridstorm.target.annotation import shown
from gridstorm.target.definition import definition, names_in, remembered, source_file
from gridstorm.target.project import how_to_install, own_packages, permission

# Where a class must be *defined*: `torch.nn.os.system` is defined in `os`, whatever path leads to it.
ALLOWED = (
    *(f"gridstorm.{family}." for family in ("data", "model", "loss", "scheduler", "callbacks")),
    *(f"gridstorm.{family}." for family in ("sampler", "pruner", "launcher")),
    "optuna.samplers.",
    "optuna.pruners.",
    "torch.nn.",
    "torch.optim.",
    "torchmetrics.",
    *(
        f"pytorch_lightning.{part}."
        for part in ("trainer", "callbacks", "loggers", "strategies", "profilers", "plugins")
    ),
)

# The package `lightning` has copies of these packages, whose classes are others.
TWINS = {
    "lightning.pytorch": "pytorch_lightning",
    "lightning.fabric": "lightning_fabric",
    "lightning": "pytorch_lightning",
}
INITLESS = ("object", "ABC", "Generic", "Protocol")  # bases that take no arguments
LIBRARIES = {prefix.split(".")[0] for prefix in ALLOWED}

# What `instantiate` reads itself, beside the target, and what a sweep reads.
SPECIAL = {
    "_sweep_": "dict",
    "_partial_": "bool",
    "_recursive_": "bool",
    "_convert_": "Literal['all', 'object']",  # everything is built of plain data
}


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
        named = isinstance(self.annotation, ast.Name) and self.annotation.id not in vars(builtins)
        named_type = definition(self.module, ast.unparse(self.annotation)) if self.annotation and named else None
        return named_type[1] if named_type and isinstance(named_type[1], ast.expr) else self.annotation


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
    definition: ast.ClassDef | ast.FunctionDef

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
        return _signature(self)

    def constant(self, name: str) -> Any:
        """Return the literal that the class, or the nearest of its bases, binds to `name`; None if none does."""
        for owner in self.ancestry():
            for node in owner.definition.body:
                bound = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                value = getattr(node, "value", None)
                if value and any(isinstance(target, ast.Name) and target.id == name for target in bound):
                    return _literal(value)
        return None

    def ancestry(self) -> tuple["Target", ...]:
        """Return the class and its bases, nearest first, as far as they can be read."""
        return _ancestry(self)


def as_installed(path: str) -> str:
    """Return a path of the package `lightning` as that of its twin, which Gridstorm builds on."""
    for package, twin in TWINS.items():
        if f"{path}.".startswith(f"{package}."):
            return twin + path.removeprefix(package)
    return path


@remembered
def find(path: str) -> Target | None:
    """Return the target at a dotted path, None where there is no class or function that can be read."""
    path = as_installed(path)
    module, _, name = path.rpartition(".")
    readable = module and all(map(str.isidentifier, path.split("."))) and source_file(module)
    return _defined(module, name) if readable else None


def names_beside(path: str) -> list[str]:
    """Return the dotted paths of the names in the same module as `path` that look like classes."""
    module, _, _ = path.rpartition(".")
    return [f"{module}.{name}" for name in names_in(module) if name[:1].isupper()]


def is_a_librarys(path: str) -> bool:
    """Tell whether a target is not of the user's own code."""
    return path.partition(".")[0] in LIBRARIES


def allowed(target: Target) -> bool:
    """Tell whether configuration may name this target: a class under ALLOWED, or anything of an allowed package."""
    return target.path.startswith(own_packages()) or (
        target.path.startswith(ALLOWED) and isinstance(target.definition, ast.ClassDef)
    )


def problem(key: str, path: Any) -> Problem | None:
    """Return why the `_target_` at `key` may not be built, None if it may."""
    text = f"{key}._target_={shown(path)}".lstrip(".")
    if not isinstance(path, str) or not re.fullmatch(r"\w+(\.\w+)+", path):
        return Problem(text, "A target is the dotted path of a class.", "Give one, such as torch.optim.AdamW.")
    target = find(path)
    if target and allowed(target) and (is_a_librarys(path) or path.startswith(own_packages())):
        return None  # the second since building imports what leads there too
    package = (target.module if target else path).partition(".")[0]
    if not target and package in LIBRARIES:
        close = [name for name in closest(path, names_beside(path)) if (other := find(name)) and allowed(other)]
        remedy = did_you_mean(path, close) if close else "Give the path of one, such as torch.optim.AdamW."
        return Problem(text, "There is no such class.", remedy)
    if not target and path.startswith(own_packages()):
        return Problem(text, *_missing(path))
    remedy = "Name one of these, such as torch.optim.AdamW."
    if package not in LIBRARIES | set(sys.stdlib_module_names):
        remedy = f"If you trust {package}, allow it: {permission(package)}."
    fact = "Configuration may only build classes of gridstorm's choices, torch and Lightning"
    return Problem(text, f"{fact}, and this is from {target.module}." if target else f"{fact}.", remedy)


def _missing(path: str) -> tuple[str, str]:
    """Return why there is nothing at a path of the user's own code, in a sentence of fact and one of remedy."""
    module, _, name = path.rpartition(".")
    package = path.partition(".")[0]
    if not source_file(package):
        return f"{package} cannot be found.", how_to_install(package)
    while not source_file(module):
        module, _, name = module.rpartition(".")
    beside = [entry for entry in names_in(module) if entry[:1].isupper()] if name == path.rpartition(".")[2] else []
    kind = "class" if name[:1].isupper() else "function" if beside else "module"
    return f"{module} has no {kind} {name}.", did_you_mean(
        name, beside
    ) if beside else "Write the path as in an import."


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


@remembered
def _ancestry(target: Target) -> tuple[Target, ...]:
    bases = getattr(target.definition, "bases", ())
    parents = [_defined(target.module, ast.unparse(base).split("[")[0]) for base in bases]
    above = (parent.ancestry() for parent in parents if parent and parent.path != target.path)
    return target, *(owner for owners in above for owner in owners)


@remembered
def _signature(target: Target) -> Signature:
    if isinstance(target.definition, ast.FunctionDef):
        return _arguments(target.module, target.definition, skip=0)
    for owner in target.ancestry():
        for node in owner.definition.body:
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return _arguments(owner.module, node, skip=1)
    fields: dict[str, Argument] = {}
    for field in (field for owner in target.ancestry() if _is_dataclass(owner) for field in _fields(owner)):
        fields.setdefault(field.name, field)  # the class's own before those of its bases
    if fields:
        return Signature(tuple(fields.values()))
    return Signature((), open=not all(map(_takes_nothing, target.ancestry())))


def _is_dataclass(owner: Target) -> bool:
    names = (ast.unparse(getattr(one, "func", one)) for one in owner.definition.decorator_list)
    return any(name.rpartition(".")[2] == "dataclass" for name in names)


def _fields(owner: Target) -> Iterator[Argument]:
    """Yield the fields of a dataclass that its `__init__` takes."""
    for node in owner.definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        settings = {word.arg: word.value for word in getattr(node.value, "keywords", ())}
        is_field = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).rpartition(".")[2] == "field"
        default = settings.get("default", settings.get("default_factory")) if is_field else node.value
        init = settings.get("init") if is_field else None
        if not ast.unparse(node.annotation).startswith(("ClassVar", "typing.ClassVar")) and not (
            isinstance(init, ast.Constant) and init.value is False
        ):
            yield Argument(node.target.id, node.annotation, default, owner.module)


def _takes_nothing(owner: Target) -> bool:
    """Tell whether a class without an `__init__` is known to have none: neither from a base nor from a decorator."""
    unknown = [
        base
        for base in map(ast.unparse, getattr(owner.definition, "bases", ()))
        if base.split("[")[0].rpartition(".")[2] not in INITLESS and not _defined(owner.module, base.split("[")[0])
    ]
    made = any(
        isinstance(statement, ast.FunctionDef) and statement.name == "__new__" for statement in owner.definition.body
    )
    return not (unknown or made or owner.definition.decorator_list or [*getattr(owner.definition, "keywords", [])])


def _defined(module: str, name: str) -> Target | None:
    match = definition(module, name)
    return Target(match[0], match[1]) if match and not isinstance(match[1], ast.expr) else None


def _arguments(module: str, function: ast.FunctionDef, skip: int) -> Signature:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    named = [*zip(positional, defaults, strict=True)][skip:]
    pairs = [*named, *zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    arguments = tuple(Argument(arg.arg, arg.annotation, default, module) for arg, default in pairs)
    return Signature(arguments, open=spec.kwarg is not None)


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None
