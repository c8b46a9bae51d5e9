"""Keys by their role: what is asked (scientific), and what has to be tuned anew for each answer (nuisance).

The words and the rule are the public tuning playbook's (Godbole et al., 2023, "Identifying scientific, nuisance, and
fixed hyperparameters"): a comparison of two depths is fair only where each has its own best learning rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gridstorm.answer.study import Key, Setting, Study
from gridstorm.config import brief


@dataclass(frozen=True)
class Compared:
    """The best setting for one value of what is asked.

    Args:
        words: The value of the scientific keys.
        best: The best setting that has it.
        nuisance: The values of the nuisance keys in it, in words.
        edges: The nuisance keys whose value there is the smallest or the largest that was tried with it.
        count: Of how many settings.
    """

    words: str
    best: Setting
    nuisance: str
    edges: tuple[str, ...]
    count: int


def compared_by(study: Study, scientific: Sequence[str], nuisance: Sequence[str]) -> list[Compared]:
    """Return the best setting for each value of the scientific keys, the best first; nothing without such keys.

    Args:
        study: The sweep.
        scientific: The keys that are asked about.
        nuisance: Those that are tuned for each; where none are named, all others.
    """
    if not scientific:
        return []
    tuned = [key for key in study.keys if (key.name in nuisance if nuisance else key.name not in scientific)]
    groups: dict[str, list[Setting]] = {}
    for one in study.compared:
        words = ", ".join(f"{name}={brief(one.values.get(name))}" for name in scientific)
        groups.setdefault(words, []).append(one)
    return [
        Compared(words, some[0], ", ".join(f"{key.name}={brief(some[0].values.get(key.name))}" for key in tuned) or "-",
                 tuple(key.name for key in tuned if _is_at_edge(key, some)), len(some))
        for words, some in groups.items()
    ]  # fmt: skip


def _is_at_edge(key: Key, settings: Sequence[Setting]) -> bool:
    """Tell whether the best of some settings has the smallest or largest value of a number among them, but for 0."""
    if not key.is_number:
        return False
    values = sorted({one.values[key.name] for one in settings})
    best = settings[0].values[key.name]
    return len(values) < 2 or best == values[-1] or (best == values[0] and best != 0)


def unfair(groups: Sequence[Compared]) -> Iterator[str]:
    """Yield warnings of comparisons that are not fair, since a nuisance key is best at an end of what was tried."""
    for one in groups:
        for key in one.edges:
            yield f"The comparison is unfair to {one.words}: its best {key} is at the edge of what was tried with it."
