"""What was given, where, and what to do: the one way in which Gridstorm says no, and how it warns."""

import difflib
import errno
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MANY = 20  # names that are too many to be listed in a sentence
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)
LONGEST = 600  # letters of a key with its value, or of a sentence, that are shown


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: a key with what was given, a sentence of fact and a sentence of remedy."""

    key: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        """Return the problem on one line: `key=value: fact remedy`; a value that is too long is cut."""
        return f"{shortened(self.key)}: {shortened(self.fact)} {shortened(self.remedy)}"

    @property
    def path(self) -> str:
        """The dotted key alone, without what was given."""
        return self.key.partition("=")[0].lstrip("+~")


class UserError(Exception):
    """A request that cannot be carried out, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = list(dict.fromkeys(problems))

    def __reduce__(self) -> tuple[type["UserError"], tuple[list[Problem]]]:
        """Return how it is made again: a worker process hands it on as what it is."""
        return type(self), (self.problems,)

    def __str__(self) -> str:
        """Return the message that the user reads."""
        count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"Nothing was started, for {count}:", *(f"  * {problem}" for problem in self.problems)])


class RunFailed(Exception):
    """A run ended in an exception, which is its cause; the run's directory has the traceback."""


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Say in words what cannot be carried out, and end with exit status 2, or 1 where something was started already.

    Ctrl-C ends with 130. A traceback is for our own mistakes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale without a letter is no reason to lose a table
    try:
        yield
    except UserError as error:
        _end(str(error))
        sys.exit(2)
    except RunFailed as error:
        _end(str(error))
        sys.exit(1)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        _end(unwritable(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _end(words: str) -> None:
    status()
    print(words, file=sys.stderr)


def unwritable(error: OSError) -> str:
    """Return in words that a file could not be written."""
    fact = f"{printable(str(error.filename or 'A file'))} could not be written: {str(error.strerror).lower()}."
    again = "The same command goes on with a sweep, resume=DIRECTORY with a run."
    return f"{fact} What is finished is kept. Make room, or give another output_dir. {again}"


_silenced: list[bool] = []  # of the whole process, since a job may run in another thread


@contextmanager
def silent() -> Iterator[None]:
    """Say nothing inside of what is said to who types a command; warnings are shown, and errors are raised."""
    _silenced.append(True)
    try:
        yield
    finally:
        _silenced.pop()


def is_silent() -> bool:
    """Tell whether nothing is said now, as where Python asks."""
    return bool(_silenced)


def say(words: str, end: str = "\n") -> None:
    """Print what is said to who types a command."""
    if is_silent():
        return
    try:
        print(words, end=end, flush=True)
    except BrokenPipeError:  # whoever reads has read enough, such as `| head`; that ends no training
        nobody_reads()


def nobody_reads() -> None:
    """Let all that is printed from now on go nowhere, what is left to be flushed at the end too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def status(words: str = "") -> None:
    """Show on a live terminal what is being done, in place of what was shown before; nothing anywhere else."""
    if sys.stderr.isatty() and not is_silent():
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def shortened(text: str) -> str:
    """Return a printable text, cut where it is too long to be read."""
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def printable(text: str) -> str:
    """Return a text with whatever a terminal would not show written out, such as `\\x1b`."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


@contextmanager
def stopped_by(stop: Callable[[int, Any], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call a function, which takes the signal's number and the frame."""
    if threading.current_thread() is not threading.main_thread():  # in another one Python takes no handlers
        yield
        return
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


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """Return `Did you mean 'x'?` with the closest of `names`, or the names to choose from."""
    choices = sorted(set(names))
    close = closest(text, choices)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Choose one of: {', '.join(choices)}." if 0 < len(choices) <= MANY else "Remove it."


def closest(text: str, names: Iterable[str]) -> list[str]:
    """Return the one of `names` that is written most like `given`, and another as close; none where none is close."""
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(text.lower(), lower, n=2, cutoff=0.6)
    alike = [difflib.SequenceMatcher(None, name, text.lower()).ratio() for name in close]
    return [lower[name] for name, ratio in zip(close, alike, strict=True) if ratio > alike[0] - 0.1]


def refused(key: str, error: Exception) -> UserError:
    """Return the refusal for an error whose message already says what was given and what to do."""
    text = str(error).strip()
    if named := re.match(r"([a-z_]+(?:\.\w+)*=[^:]*): ", text):  # it says where, too
        key, text = named[1], text[named.end() :]
    fact, _, remedy = text.partition(". ")
    return UserError([Problem(key, fact.rstrip(".") + ".", remedy or "Change the values that it speaks of.")])
