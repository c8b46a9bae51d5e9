"""What is allowed and seldom meant, said before training: a line each, by its id, until `lint.ignore` names it."""

from gridstorm.lint.advice import Advice, Plan, Span
from gridstorm.lint.rules import advised, refuse_unknown

__all__ = ["Advice", "Plan", "Span", "advised", "refuse_unknown"]
