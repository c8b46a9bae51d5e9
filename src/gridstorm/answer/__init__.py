"""What a sweep has shown: which setting, how sure, what each key does, and what to try next."""

from gridstorm.answer.answer import Answer, content
from gridstorm.answer.contest import Contest
from gridstorm.answer.effort import curves, early, time_spent
from gridstorm.answer.influence import profile
from gridstorm.answer.study import Key, Setting, Study

__all__ = [
    "Answer",
    "Contest",
    "Key",
    "Setting",
    "Study",
    "content",
    "curves",
    "early",
    "profile",
    "time_spent",
]
