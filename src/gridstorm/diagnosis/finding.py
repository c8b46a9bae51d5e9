"""What a rule finds, and the words for it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gridstorm.diagnosis.curves import Curves

HEALTHY = "healthy"


@dataclass(frozen=True)
class Remedy:
    """What to try.

    Args:
        overrides: What is added to the command line, such as `("optimizer.lr=0.001",)`; empty where words have to do.
        why: In a few words, such as `a third`; where there are no overrides, the advice itself.
    """

    overrides: tuple[str, ...]
    why: str = ""

    def __str__(self) -> str:
        if not self.overrides:
            return self.why
        return " ".join(self.overrides) + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True)
class Finding:
    """Something that curves say.

    Args:
        name: Of the rule.
        evidence: What was seen, in numbers.
        remedies: What to try, the first one first.
        step: At which it began, None where it was so all along.
        confidence: How far the evidence lies beyond the rule's threshold: 0.5 at it, towards 1 far beyond. It is no
            probability.
    """

    name: str
    evidence: str
    remedies: tuple[Remedy, ...]
    step: int | None = None
    confidence: float = 0.5

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}{self.advice}"

    @property
    def advice(self) -> str:
        """What to try, as a sentence; empty where nothing is known."""
        spoken = [str(remedy) for remedy in self.remedies if remedy.overrides]
        words = [remedy.why for remedy in self.remedies if not remedy.overrides]
        tries = [f"Try {', or '.join(spoken)}."] if spoken else []
        return " ".join(["", *tries, *words])

    def content(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        tries = [asdict(remedy) | {"text": str(remedy)} for remedy in self.remedies]
        return asdict(self) | {"advice": self.advice, "remedies": tries}


Rule = Callable[[Curves], Finding | None]


def beyond(measured: float, threshold: float) -> float:
    """Return the confidence of something measured that lies above a threshold, both positive."""
    return round(min(0.99, 1 - 0.5 * threshold / max(measured, threshold)), 2)


def one_of(remedies: Sequence[Remedy | None], otherwise: str = "") -> tuple[Remedy, ...]:
    """Return those that there are; where there is none, an advice in words."""
    found = tuple(remedy for remedy in remedies if remedy is not None)
    return found or ((Remedy((), otherwise),) if otherwise else ())


def percent(share: float) -> str:
    """Return a share in words: `46 %`."""
    return f"{100 * share:.0f} %"
