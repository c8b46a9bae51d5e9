"""What was given, where, and what to do: the one way in which Gridstorm says no, and how it warns."""

import difflib
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
FORMAT = 1  # of the files of a record; none written means 0
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


class Refusal(Exception):
    """A request that cannot be carried out, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = list(dict.fromkeys(problems))

    def __str__(self) -> str:
        """Return the message that the user reads."""
        count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"Nothing was started, for {count}:", *(f"  * {problem}" for problem in self.problems)])


@contextmanager
def plainly() -> Iterator[None]:
    """Say a refusal in words and end with exit status 2, Ctrl-C with 130; a traceback is for our own mistakes."""
    try:
        yield
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def refuse_unknown_format(file: Path, content: Mapping[str, Any]) -> None:
    """Refuse what a later Gridstorm wrote.

    Raises:
        Refusal: The format is none that is known here.
    """
    if content.get("format", 0) not in range(FORMAT + 1):
        fact = f"Its format is {content['format']}, and this Gridstorm knows those up to {FORMAT}."
        raise Refusal([Problem(str(file), fact, "Use the Gridstorm that wrote it, or a later one.")])


def unreadable(file: Path, reason: str) -> Refusal:
    """Return the refusal of a damaged file of a record."""
    return Refusal([Problem(str(file), f"It cannot be read: {reason.rstrip('.')}.", "Restore it, or start a new run.")])


def said(error: BaseException) -> str:
    """Return what went wrong on one line."""
    if isinstance(error, Refusal):
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


# Warnings that are no news to a user, by the beginning of their text; every other one is shown.
QUIET = {
    "The `srun` command is available": "of a cluster that is not asked for",
    "The '\\w+_dataloader' does not have many workers": "data that are held in memory need none",
    "The number of training batches \\(\\d+\\) is smaller than the logging interval": "each epoch ends with a point",
    "Checkpoint directory .* exists and is not empty": "a run goes on in its own directory",
    "GPU available but not used": "it was asked for",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated": "Lightning's use of torch, and no number's",
}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's remarks on devices and folders off the screen, and of warnings those of QUIET alone."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for text in QUIET:
            warnings.filterwarnings("ignore", text)
        yield


@contextmanager
def warned() -> Iterator[list[str]]:
    """Yield the list of what is warned of inside, each once; it is shown as well."""
    found: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            text = f"{category.__name__}: {message}"
            if text not in found:
                found.append(text)
                show(message, category, *place, **more)

        warnings.showwarning = note
        yield found


def tried(loss: str, function: Callable[..., T], *arguments: Any) -> T | None:
    """Return what a function returns that comes after the training; what it raises is a warning and costs no result."""
    try:
        return function(*arguments)
    except Exception as error:
        warnings.warn(f"{loss}: {said(error)}", RuntimeWarning, stacklevel=2)
        return None
