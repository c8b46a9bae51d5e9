"""What was given, where, and what to do: the one way in which Gridstorm says no, and how it warns."""

import difflib
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MANY = 20  # names that are too many to be listed in a sentence


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: a key with what was given, a sentence of fact and a sentence of remedy."""

    key: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        """Return the problem on one line: `key=value: fact remedy`."""
        return f"{self.key}: {self.fact} {self.remedy}"

    @property
    def path(self) -> str:
        """The dotted key alone, without what was given."""
        return self.key.partition("=")[0].lstrip("+~")


class UserError(Exception):
    """A request that cannot be carried out, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = list(dict.fromkeys(problems))

    def __str__(self) -> str:
        """Return the message that the user reads."""
        count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"Nothing was started, for {count}:", *(f"  * {problem}" for problem in self.problems)])


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Say a refusal in words and end with exit status 2, Ctrl-C with 130; a traceback is for our own mistakes."""
    try:
        yield
    except UserError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def stopped_by(stop: Callable[[int, Any], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call a function, which takes the signal's number and the frame."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def said(error: BaseException) -> str:
    """Return what went wrong on one line."""
    if isinstance(error, UserError):
        return " ".join(map(str, error.problems))
    while error.__cause__ is not None:  # the first of a chain is what went wrong
        error = error.__cause__
    lines = f"{error}".strip().splitlines() or [""]
    if "Original Traceback" in f"{error}":  # of a worker process: its text ends in what was raised there
        return lines[-1].strip()
    return f"{type(error).__name__}: {lines[0]}"


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """Return `Did you mean 'x'?` with the closest of `names`, or the names to choose from."""
    choices = sorted(set(names))
    close = closest(given, choices)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Choose one of: {', '.join(choices)}." if 0 < len(choices) <= MANY else "Remove it."


def closest(given: str, names: Iterable[str]) -> list[str]:
    """Return the one of `names` that is written most like `given`, and another as close; none where none is close."""
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), lower, n=2, cutoff=0.6)
    alike = [difflib.SequenceMatcher(None, name, given.lower()).ratio() for name in close]
    return [lower[name] for name, ratio in zip(close, alike, strict=True) if ratio > alike[0] - 0.1]


def refused(key: str, error: Exception) -> UserError:
    """Return the refusal for an error whose message already says what was given and what to do."""
    fact, _, remedy = str(error).strip().partition(". ")
    return UserError([Problem(key, fact.rstrip(".") + ".", remedy or "Change the values that it speaks of.")])
