"""Types as they are written: which plain values they accept, and how to say so in words."""

import ast
import math
from functools import cache
from typing import Any

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "None": "null",
    "dict": "a section",
}

TUPLES = {"tuple", "Tuple"}

SEQUENCES = {"list", "List", "Sequence", "Iterable", "set", "Set"} | TUPLES

MAPPINGS = {"dict", "Dict", "Mapping"}

NEVER = {"Tensor"}  # nothing that can be written in a configuration is one


@cache
def written(annotation: str) -> ast.expr:
    """Return a type that is given as text."""
    return ast.parse(annotation, mode="eval").body


def accepts(annotation: ast.expr, value: Any) -> bool:
    """Tell whether a plain value can be of the annotated type; a type that cannot be told accepts everything."""
    if isinstance(value, dict) and "_target_" in value:
        return True
    return any(_accepts_one(option, value) for option in _options(annotation))


def _accepts_one(option: ast.expr, value: Any) -> bool:
    if isinstance(option, ast.Constant):
        return value is None and option.value is None
    name, _ = _generic(option)
    if name == "Literal":
        return any(item == value and type(item) is type(value) for item in literals(option))
    if name in SEQUENCES:
        return isinstance(value, list) and _accepts_items(option, value)
    if name in MAPPINGS:
        return isinstance(value, dict)
    simple: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
    if name in simple:
        return isinstance(value, simple[name]) and not isinstance(value, bool)
    return isinstance(value, bool) if name == "bool" else name not in NEVER


def _accepts_items(option: ast.expr, value: list[Any]) -> bool:
    items = _items(option)
    if _is_fixed(option):
        return len(value) == len(items) and all(map(accepts, items, value))
    return all(any(accepts(item, entry) for item in items) for entry in value) if items else True


def describe(annotation: ast.expr) -> str:
    """Return the annotated type in words, such as `a number or null`."""
    words: list[str] = []
    for option in _options(annotation):
        name, _ = _generic(option)
        if name == "Literal":
            words += map(str, literals(option))
        elif name in SEQUENCES:
            items = ", ".join(map(describe, _items(option)))
            words.append(f"a list [{items}{'' if _is_fixed(option) else ', ...'}]" if items else "a list")
        elif name not in NEVER:
            words.append(WORDS.get(name, name))
    if "a number" in words:
        words = [word for word in words if word != "a whole number"]
    return " or ".join(dict.fromkeys(words))


def literals(annotation: ast.expr) -> list[Any]:
    """Return the values that a type lists, those of a `Literal`."""
    listed = [item for option in _options(annotation) for item in _listed(option)]
    return [item.value for item in listed if isinstance(item, ast.Constant)]


def _listed(option: ast.expr) -> list[ast.expr]:
    name, arguments = _generic(option)
    return arguments if name == "Literal" else []


def _options(annotation: ast.expr) -> list[ast.expr]:
    """Return the alternatives of a union, however it is written."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _options(written(annotation.value))
    if isinstance(annotation, ast.BinOp):
        return [*_options(annotation.left), *_options(annotation.right)]
    name, arguments = _generic(annotation)
    if name in ("Optional", "Union"):
        options = [option for argument in arguments for option in _options(argument)]
        return options if name == "Union" else [*options, ast.Constant(None)]
    return _options(arguments[0]) if name == "Annotated" else [annotation]


def _generic(annotation: ast.expr) -> tuple[str, list[ast.expr]]:
    """Split `typing.Literal[a, b]` into its name and its arguments."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        return _generic(annotation.value)[0], list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if isinstance(annotation, ast.Constant):
        return str(annotation.value), []
    return (annotation.attr if isinstance(annotation, ast.Attribute) else getattr(annotation, "id", "")), []


def _items(option: ast.expr) -> list[ast.expr]:
    """Return the types of a list's items."""
    return [item for item in _generic(option)[1] if not (isinstance(item, ast.Constant) and item.value is ...)]


def of_values(annotation: ast.expr) -> ast.expr | None:
    """Return the type of a section's values, such as `float` of `dict[str, float]`; None where nothing is said."""
    for option in _options(annotation):
        name, arguments = _generic(option)
        if name in MAPPINGS and len(arguments) == 2:
            return arguments[1]
    return None


def _is_fixed(option: ast.expr) -> bool:
    """Tell whether a type is a tuple of so many items: `tuple[int, int]`, not `tuple[int, ...]`."""
    name, arguments = _generic(option)
    return name in TUPLES and bool(arguments) and len(_items(option)) == len(arguments)


def kind(value: Any) -> str:
    """Return the type of a plain value in words."""
    if value is None or value == "":
        return "null" if value is None else "empty"
    if isinstance(value, list):
        return f"a list [{', '.join(map(kind, value))}]"
    if isinstance(value, float):
        return "a decimal number" if math.isfinite(value) else "no finite number"
    names = {bool: "bool", int: "int", dict: "dict"}
    return WORDS[names.get(type(value), "str")]


def shown(value: Any) -> str:
    """Return a plain value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{shown(item)}' for key, item in value.items())}}}"
    return str(value)
