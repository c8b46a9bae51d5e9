"""What is allowed and seldom meant, said before training: a line each, by its id, until `lint.ignore` names it."""

from gridstorm.lint.advice import Draft, Span
from gridstorm.lint.rules import advise

__all__ = ["Draft", "Span", "advise"]
