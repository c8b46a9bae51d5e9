"""What a sweep has shown: which setting, how sure, what each key does, and what to try next."""

from gridstorm.answer.answer import Answer, Step, content
from gridstorm.answer.contest import Contest
from gridstorm.answer.effort import Enough, Failing, Time, curves, early, enough, failing, time_spent
from gridstorm.answer.influence import Edge, Importance, Profile, edges, importance, profile
from gridstorm.answer.role import Compared
from gridstorm.answer.study import Key, Setting, Study

__all__ = [
    "Answer",
    "Compared",
    "Contest",
    "Edge",
    "Enough",
    "Failing",
    "Importance",
    "Key",
    "Profile",
    "Setting",
    "Step",
    "Study",
    "Time",
    "content",
    "curves",
    "early",
    "edges",
    "enough",
    "failing",
    "importance",
    "profile",
    "time_spent",
]
