"""Where the names of a module are defined: read from its source, without importing it."""

import ast
import re
import tokenize
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

Definition = ast.ClassDef | ast.FunctionDef | ast.expr
LARGE = 20_000  # letters of a class
F = TypeVar("F", bound=Callable[..., Any])

_caches: list[Any] = []
_read: dict[Path, tuple[int, int]] = {}  # each file that was read, with its time and size


def remembered(function: F) -> F:
    """Remember what a function says of sources until `refresh`."""
    _caches.append(cached := cache(function))
    return cached  # type: ignore[return-value]  # called as the function is


def refresh() -> list[Path]:
    """Forget where things were found, and all that was read of sources where one has changed; return those.

    A notebook outlives an edit, and a module that was not there.
    """
    changed = [file for file, state in _read.items() if _state(file) != state]
    parses = () if changed else (_text, syntax_tree, _read_definition)  # which take the time
    for cached in _caches:
        if cached not in parses:
            cached.cache_clear()
    for file in changed:
        del _read[file]
    invalidate_caches()
    return changed


def _state(file: Path) -> tuple[int, int]:
    try:
        state = file.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size


def definition(module: str, name: str, seen: frozenset[str] = frozenset()) -> tuple[str, Definition] | None:
    """Follow `name` in `module` through imports to its definition.

    Args:
        module: A dotted path.
        name: A name in it, or one inside a module that it imports (`nn.Module`).
        seen: The names that led here, for imports in a circle.

    Returns:
        The module that defines it, and the class, the function or the type that the name stands for; None where it
        has no definition that can be read.
    """
    head, _, rest = name.rpartition(".")
    if head or f"{module}.{name}" in seen:
        imported = _imported_module(module, head) if head else None
        return definition(imported, rest, seen) if imported else None
    if node := _read_definition(module, name):
        return module, node
    seen |= {f"{module}.{name}"}
    stars = []
    for origin, alias in _imports(module):
        if (alias.asname or alias.name) == name:
            return definition(origin, alias.name, seen)
        if alias.name == "*":
            stars.append(origin)
    return next((match for origin in stars if (match := definition(origin, name, seen))), None)


def names_in(module: str) -> set[str]:
    """Return the classes that a module defines, and all that it imports by name."""
    names = {node.name for node in _statements(syntax_tree(module)) if isinstance(node, ast.ClassDef)}
    for origin, alias in _imports(module):
        names |= names_in(origin) if alias.name == "*" else {alias.asname or alias.name}
    return names


@remembered
def source_file(module: str) -> Path | None:
    """Return a module's source file, None where there is none.

    Only the top-level package is asked of the import system, which imports nothing for that.
    """
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
        if file is None:  # a folder without an __init__.py is a package too
            folders = [folder / name for folder in folders if (folder / name).is_dir()]
        else:
            folders = [file.parent] if file.name == "__init__.py" else []
    return file


@remembered
def _read_definition(module: str, name: str) -> Definition | None:
    """Return what `name` is in `module` itself, parsed alone: some of torch's modules take 10 ms to parse."""
    head = rf"(?:class|def) {name}\b|{name}(?:: \w+)? = (?=[A-Z])"
    decorators = r"(?:@[^\n]*\n(?:[ \t)][^\n]*\n)*)*"
    block = re.search(rf"^{decorators}(?:{head}).*?(?=^[^\s#)\]}}]|\Z)", _text(module), re.MULTILINE | re.DOTALL)
    if not block:
        return None
    try:
        node = _parsed(block.group())
    except SyntaxError:  # a line of a text stands at the margin
        node = next(
            (statement for statement in syntax_tree(module).body if getattr(statement, "name", None) == name),
            ast.Pass(),
        )
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return node.value
    return node if isinstance(node, ast.ClassDef | ast.FunctionDef) else None


def _parsed(block: str) -> ast.stmt:
    """Return a statement; of a large class without most of its methods, which take the time and say nothing here."""
    if len(block) > LARGE:
        lines = re.split(r"^(?=    [^\s)\]}#])", block, flags=re.MULTILINE)
        kept = (line for line in lines if not re.match(r"    (?:@|async def |def (?!__init__|__new__))", line))
        with suppress(SyntaxError):  # a line of a text in a method stands where one of the class would
            return ast.parse("".join(kept)).body[0]
    return ast.parse(block).body[0]


def _imported_module(module: str, name: str) -> str | None:
    """Return the dotted path of the module that `name` stands for inside `module`."""
    for node in _statements(syntax_tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return alias.name
    origins = (f"{origin}.{alias.name}" for origin, alias in _imports(module) if (alias.asname or alias.name) == name)
    return next(origins, None)


def _imports(module: str) -> Iterator[tuple[str, ast.alias]]:
    """Yield (module, name) for every `from ... import` of a module, the last first: it wins."""
    for node in reversed(list(_statements(syntax_tree(module)))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield statement_origin(module, node), alias


def statement_origin(module: str, node: ast.ImportFrom) -> str:
    """Return the module that a `from ... import` inside `module` names."""
    if not node.level:
        return node.module or ""
    place = source_file(module)
    parts = module.split(".")
    keep = len(parts) - node.level + (place is not None and place.name == "__init__.py")
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _statements(tree: ast.Module | ast.If | ast.Try) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those inside top-level `if` and `try` too."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements(node)


@remembered
def _text(module: str) -> str:
    """Return a module's source, an empty text where there is none."""
    place = source_file(module)
    if place is None:
        return ""
    _read[place] = _state(place)
    return source_text(place)


def source_text(file: Path) -> str:
    """Return a source in the encoding that it says it has."""
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (SyntaxError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8", errors="replace")


@remembered
def syntax_tree(module: str) -> ast.Module:
    """Return a module's syntax tree, an empty one where there is no source or no Python in it."""
    try:
        return ast.parse(_text(module))
    except (SyntaxError, ValueError):
        return ast.Module([], [])
