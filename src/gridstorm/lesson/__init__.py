"""The beginner's article as lessons: a sentence, the runs that show it, and whether it was seen to hold."""

from gridstorm.lesson.lesson import listed, teach

__all__ = ["listed", "teach"]
