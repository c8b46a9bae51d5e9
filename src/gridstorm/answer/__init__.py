"""What a sweep has shown: which setting, how sure, what each key does, and what to try next."""

from gridstorm.answer.answer import Answer, content
from gridstorm.answer.contest import Contest
from gridstorm.answer.effort import curves, early, time_spent
from gridstorm.answer.influence import profile
from gridstorm.answer.study import Key, Setting, Study, short

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
    "short",
    "time_spent",
]
