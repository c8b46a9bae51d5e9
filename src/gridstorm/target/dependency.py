"""Which modules a module imports, and those import in turn: read from their sources, without importing them."""

import ast
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

from gridstorm.target.definition import remembered, source_file, statement_origin, syntax_tree
from gridstorm.target.target import LIBRARIES, as_installed


def own_modules(modules: Collection[str]) -> set[str]:
    """Return the modules of a user's own code that these ones need, themselves included, libraries left out.

    Own are the packages that these modules stand in, and whatever lies outside of the installed packages. What is
    imported by a name that is made up while the program runs is not seen.
    """
    tops = {module.partition(".")[0] for module in modules} - LIBRARIES
    found, new = set[str](), {module for module in modules if module.partition(".")[0] in tops}
    while new:
        found |= new
        new = {
            name
            for module in new
            for name in _imported(module)
            if name not in found and (name.partition(".")[0] in tops or _is_own(name))
        }
    return found


@remembered
def foreign_import(module: str) -> tuple[Path, int, str] | None:
    """Return where a user's module, or one that it imports, imports the package `lightning`, and the line it should be.

    Its classes are copies of those that Gridstorm builds on: a LightningModule of the one is none of the other's.
    """
    for name in sorted(own_modules({module})):
        for node in ast.walk(syntax_tree(name)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            file = source_file(name)
            if (
                file
                and isinstance(node, ast.Import | ast.ImportFrom)
                and any(as_installed(one) != one for one in names)
            ):
                return file, node.lineno, ast.unparse(_installed(node))
    return None


def _installed(node: ast.Import | ast.ImportFrom) -> ast.Import | ast.ImportFrom:
    """Return an import statement with the packages that Gridstorm builds on."""
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(as_installed(str(node.module)), node.names, 0)
    return ast.Import([ast.alias(as_installed(alias.name), alias.asname) for alias in node.names])


def _is_own(module: str) -> bool:
    top = module.partition(".")[0]
    file = source_file(module)
    if top in LIBRARIES or file is None or {"site-packages", "dist-packages"} & {*file.parts}:
        return False
    installed = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(file.is_relative_to(folder) for folder in installed)


def _imported(module: str) -> Iterator[str]:
    """Yield the modules that a module's statements import, and the packages in which they and it stand."""
    yield from _with_packages(module)
    for node in ast.walk(syntax_tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = statement_origin(module, node)
            names = [alias.name for alias in node.names]
            for name in _listed(origin) if names == ["*"] else names:
                yield from _with_packages(f"{origin}.{name}")  # a module, or a name in the one above it
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            yield from _called(module, node)


def _called(module: str, node: ast.Call) -> Iterator[str]:
    """Yield what a call imports that is told a name, such as `import_module(".layer", __package__)`."""
    name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    if isinstance(name, str) and name.strip("."):
        level = len(name) - len(name.lstrip("."))
        origin = statement_origin(module, ast.ImportFrom(name.lstrip("."), [], level)) if level else name
        yield from _with_packages(origin)


def _listed(module: str) -> list[str]:
    """Return what `from module import *` may import: a package's `__all__` can name modules."""
    for node in syntax_tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            values = getattr(node.value, "elts", ())
            return ["__init__", *(str(value.value) for value in values if isinstance(value, ast.Constant))]
    return ["__init__"]


def _with_packages(module: str) -> Iterator[str]:
    """Yield what importing a module runs: the packages above it, and itself, as far as they have a source."""
    parts = module.split(".")
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    names = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    yield from (name for name in names if all(map(str.isidentifier, name.split("."))) and source_file(name))
