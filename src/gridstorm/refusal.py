"""What was given, where, and what to do: the one way in which Gridstorm says no."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """Return `Did you mean 'x'?` with the closest of `names`, or the names to choose from."""
    choices = sorted(set(names))
    close = closest(given, choices)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Choose one of: {', '.join(choices)}." if 0 < len(choices) <= MANY else "Remove it."


def closest(given: str, names: Iterable[str]) -> list[str]:
    """Return the one or two of `names` that are written most like `given`; none where none is close."""
    lower = {name.lower(): name for name in names}
    return [lower[name] for name in difflib.get_close_matches(given.lower(), lower, n=2, cutoff=0.6)]
