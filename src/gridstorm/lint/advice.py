"""What is advised, and how it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

USUAL = {"Adam": 1e-3, "AdamW": 1e-3, "NAdam": 2e-3, "RMSprop": 1e-3, "SGD": 1e-1}  # what each usually begins with


@dataclass(frozen=True)
class Advice:
    """Something that is allowed and seldom meant.

    Args:
        id: What `lint.ignore` calls it.
        fact: What is set, and why it matters, in a sentence.
        remedy: What to do, in a sentence.
    """

    id: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        return f"lint {self.id}: {self.fact} {self.remedy}"


@dataclass(frozen=True)
class Span:
    """What a key varies over in a sweep.

    Args:
        key: The key, or the name of a group.
        values: What is listed; of an interval its two ends.
        is_interval: Whether it is one.
        is_log: Whether the decades of the interval are equally likely.
    """

    key: str
    values: Sequence[Any]
    is_interval: bool = False
    is_log: bool = False

    @property
    def numbers(self) -> list[float]:
        """The values that are numbers above 0."""
        return [float(value) for value in self.values if type(value) in (int, float) and value > 0]

    @property
    def ratio(self) -> float:
        """The largest number over the smallest; 1 where there are no two."""
        return max(self.numbers) / min(self.numbers) if len(self.numbers) > 1 else 1.0


@dataclass(frozen=True)
class Draft:
    """What is about to be trained.

    Args:
        values: The configuration; of a sweep that of its first run.
        spans: What varies; empty for one run.
        is_searched: Whether a sampler draws the trials, and not a grid.
    """

    values: Mapping[str, Any]
    spans: Sequence[Span] = ()
    is_searched: bool = False

    def at(self, key: str) -> Any:
        """Return the value at a dotted key, None where there is none, or where it varies."""
        if any(f"{key}.".startswith(f"{span.key}.") for span in self.spans):
            return None
        node: Any = self.values
        for name in key.split("."):
            node = node.get(name) if isinstance(node, Mapping) else None
        return node

    def span(self, key: str) -> Span | None:
        """Return what a key varies over, None where it does not."""
        return next((span for span in self.spans if span.key == key), None)

    def target(self, section: str) -> str:
        """Return the last word of a section's class."""
        return str(self.at(f"{section}._target_") or "").rpartition(".")[2]
