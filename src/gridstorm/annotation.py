"""Types as they are written: which plain values they accept, and how to say so in words."""

import ast
from typing import Any

WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "None": "null", "dict": "a section of keys"}
SEQUENCES = {"list", "List", "tuple", "Tuple", "Sequence", "Iterable", "set", "Set"}
MAPPINGS = {"dict", "Dict", "Mapping"}
NEVER = {"Tensor"}  # nothing that can be written in a configuration is one


def accepts(annotation: ast.expr, value: Any) -> bool:
    """Tell whether a plain value can be of the annotated type; a type that cannot be told accepts everything."""
    if isinstance(value, dict) and "_target_" in value:
        return True
    options = _options(annotation)
    return any(_accepts_one(option, value) for option in options)


def _accepts_one(option: ast.expr, value: Any) -> bool:
    if isinstance(option, ast.Constant):
        return value is None and option.value is None
    name, arguments = _generic(option)
    if name == "Literal":
        return any(isinstance(item, ast.Constant) and item.value == value and type(item.value) is type(value) for item in arguments)
    if name in SEQUENCES:
        items = [item for item in arguments if not (isinstance(item, ast.Constant) and item.value is ...)]
        return isinstance(value, list) and (not items or all(any(accepts(item, one) for item in items) for one in value))
    if name in MAPPINGS:
        return isinstance(value, dict)
    simple = {"int": int, "float": (int, float), "str": str}
    if name in simple:
        return isinstance(value, simple[name]) and not isinstance(value, bool)
    return isinstance(value, bool) if name == "bool" else name not in NEVER


def describe(annotation: ast.expr) -> str:
    """Return the annotated type in words, such as `a number or null`."""
    words: list[str] = []
    for option in _options(annotation):
        name, arguments = _generic(option)
        if name == "Literal":
            words += [repr(item.value) for item in arguments if isinstance(item, ast.Constant)]
        elif name in SEQUENCES:
            words.append(f"a list ({ast.unparse(option)})")
        elif name not in NEVER:
            words.append(WORDS.get(name, name))
    return " or ".join(dict.fromkeys(words))


def _options(annotation: ast.expr) -> list[ast.expr]:
    """Return the alternatives of a union, however it is written."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _options(ast.parse(annotation.value, mode="eval").body)
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


def kind(value: Any) -> str:
    """Return the type of a plain value in words."""
    kinds = ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "text"), (list, "a list"), (dict, "a section"))
    return "null" if value is None else next(words for kind, words in kinds if isinstance(value, kind))


def shown(value: Any) -> str:
    """Return a plain value as it is written on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value).replace(" ", "") if isinstance(value, list | dict) else str(value)
