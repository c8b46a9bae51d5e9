"""All rules, and which of them are asked."""

from collections.abc import Mapping
from typing import Any

from gridstorm.error import Problem, UserError, did_you_mean
from gridstorm.lint import run, sweep
from gridstorm.lint.advice import Advice, Plan

RULES = {rule.__name__: rule for rule in (*run.RULES, *sweep.RULES)}
MOST = 5  # lines that are said: never a wall


def advised(plan: Plan) -> list[str]:
    """Return what is advised, a line each, without what `lint.ignore` names."""
    ignored = (plan.values.get("lint") or {}).get("ignore") or []
    found: list[Advice] = [advice for name, rule in RULES.items() if name not in ignored and (advice := rule(plan))]
    more = [f"lint: {len(found) - MOST} more. Ignore some with lint.ignore=[...]."] if len(found) > MOST else []
    return [*map(str, found[:MOST]), *more]


def refuse_unknown(values: Mapping[str, Any]) -> None:
    """Refuse ids in `lint.ignore` that no rule has.

    Raises:
        UserError: There are some.
    """
    ignored = (values.get("lint") or {}).get("ignore") or []
    if unknown := [name for name in ignored if name not in RULES]:
        fact = "There is no such rule."
        raise UserError([Problem(f"lint.ignore={name}", fact, did_you_mean(name, [*RULES])) for name in unknown])
