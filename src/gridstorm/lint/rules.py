"""All rules, and which of them are asked."""

from gridstorm.error import Problem, UserError, did_you_mean, say
from gridstorm.lint import run, sweep
from gridstorm.lint.advice import Advice, Draft

RULES = {rule.__name__: rule for rule in (*run.RULES, *sweep.RULES)}
MOST = 5  # lines that are said: never a wall


def advise(draft: Draft) -> None:
    """Say what `advised` returns, and refuse what it refuses."""
    for line in advised(draft):
        say(line)


def advised(draft: Draft) -> list[str]:
    """Return what is advised, a line each, without what `lint.ignore` names.

    Raises:
        UserError: `lint.ignore` names what is no rule.
    """
    ignored = (draft.values.get("lint") or {}).get("ignore") or []
    if odd := [key for key in draft.values.get("lint") or {} if key != "ignore"]:
        raise UserError([Problem(f"lint.{odd[0]}", "There is no such key.", did_you_mean(odd[0], ["ignore"]))])
    if unknown := [name for name in ignored if name not in RULES]:
        fact = "There is no such rule."
        raise UserError([Problem(f"lint.ignore={name}", fact, did_you_mean(name, [*RULES])) for name in unknown])
    found: list[Advice] = [advice for name, rule in RULES.items() if name not in ignored and (advice := rule(draft))]
    more = [f"lint: {len(found) - MOST} more. Ignore some with lint.ignore=[...]."] if len(found) > MOST else []
    return [*map(str, found[:MOST]), *more]
