"""Building what a plain configuration describes."""

from collections.abc import Mapping, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import Any

from gridstorm.error import Problem, UserError, refused, said
from gridstorm.target.target import SPECIAL, problem, targets


def build(node: Mapping[str, Any], **arguments: Any) -> Any:
    """Build what a plain node describes, after `problem` was asked of every target in it.

    It means what `hydra.utils.instantiate` means by `_target_`, `_args_`, `_partial_` and `_recursive_`, of plain data
    alone: `instantiate` makes a configuration of them again and resolves it, so that a text which was checked could
    become another call. Here `${...}` is a text like any other.

    Raises:
        UserError: A target is missing or not allowed, or its constructor raises.
    """
    problems = [wrong for key, part in targets(node) if (wrong := problem(key, part["_target_"]))]
    if problems:
        raise UserError(problems)
    return build_all({**node, **arguments}, recursive=True)


def build_all(node: Any, recursive: bool) -> Any:
    """Return a value with every section that has a target built, innermost first; others are copied."""
    if isinstance(node, list):
        return [build_all(value, recursive) for value in node]
    if not isinstance(node, dict):
        return node
    recursive = node.get("_recursive_", recursive)
    if "_target_" not in node:
        return {key: build_all(value, recursive) for key, value in node.items()}
    values = {key: value for key, value in node.items() if key not in ("_target_", "_args_", *SPECIAL)}
    positional = node.get("_args_", [])
    if recursive:
        values, positional = build_all(values, recursive), build_all(positional, recursive)
    return _called(node["_target_"], bool(node.get("_partial_")), positional, values)


def _called(path: str, is_partial: bool, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
    try:
        target = resolve_name(path)
        return partial(target, *positional, **named) if is_partial else target(*positional, **named)
    except UserError:  # of a section inside it
        raise
    except ValueError as error:
        raise refused(path, error) from error
    except Exception as error:
        fact = f"It cannot be built: {' '.join(said(error).split()).rstrip('.!')}{where(error)}."
        raise UserError([Problem(path, fact, "Give what it takes, or choose another.")]) from error


def where(error: BaseException) -> str:
    """Return ` (FILE, line N)` of the last line of a user's own code that an error came from; empty for a library's."""
    trace = error.__traceback__
    places = []
    while trace:
        places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    own = [place for place in places if "site-packages" not in place[0] and "gridstorm" not in place[0]]
    return f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
