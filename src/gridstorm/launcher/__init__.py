"""Where the jobs of a sweep run: one launcher a file."""

from gridstorm.launcher._launcher import WORDS, Died, Launcher, P, T, answer_to, cores, devices, revived, uses_gpu

__all__ = ["WORDS", "Died", "Launcher", "P", "T", "answer_to", "cores", "devices", "revived", "uses_gpu"]
