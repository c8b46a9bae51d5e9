"""The answer of a sweep in sentences: the best setting, how sure, what each key does, and the next command."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gridstorm.answer.contest import Contest
from gridstorm.answer.effort import Enough, Failing, enough, failing, saved
from gridstorm.answer.influence import Edge, Importance, edges, importance
from gridstorm.answer.role import Compared, compared_by, unfair
from gridstorm.answer.study import Setting, Study
from gridstorm.config import brief, duration, number

LISTED = 3  # settings of a tie that are named in a sentence
FREE = ("optimizer.", "scheduler.", "loss.", "regularization.")  # keys that make no step longer
REPEATS = 5  # seeds with which a tie is trained again


@dataclass(frozen=True)
class Step:
    """What to do next.

    Args:
        why: The reason, a sentence.
        command: What to type.
    """

    why: str
    command: str


@dataclass(frozen=True)
class Answer:
    """What a sweep has shown.

    Args:
        study: The sweep.
        place: Its directory, as commands name it.
    """

    study: Study
    place: str

    @cached_property
    def contest(self) -> Contest:
        """Its settings against each other."""
        return Contest(self.study)

    @cached_property
    def best(self) -> Setting | None:
        """The setting with the best mean."""
        return next(iter(self.study.compared), None)

    @cached_property
    def edges(self) -> list[Edge]:
        """The keys whose best value is at an end."""
        return edges(self.contest)

    @cached_property
    def importance(self) -> Importance | None:
        """Which key decides most."""
        return importance(self.contest)

    @cached_property
    def enough(self) -> Enough | None:
        """What more trials would bring."""
        return enough(self.study)

    @cached_property
    def failing(self) -> Failing | None:
        """Where settings failed."""
        return failing(self.study) if self.study.failed else None

    @cached_property
    def compared(self) -> list[Compared]:
        """What was found for each value of the scientific keys."""
        return compared_by(self.study, self.study.about.get("scientific") or (), self.study.about.get("nuisance") or ())

    def score(self, loss: float) -> str:
        """Return a loss as a score."""
        return number(self.study.sign * loss)

    def sentences(self) -> list[str]:
        """Return the answer, the most important first."""
        if self.best is None:
            return [_nothing(self.study)]
        parts = (self._best(), self._tie(), self._roles(), self._edges(), self._importance(), self._failures(),
                 self._enough())  # fmt: skip
        return [sentence for part in parts for sentence in part]

    def in_short(self) -> list[str]:
        """Return the first sentences of the answer: the best, the tie, what was asked, the edges."""
        if self.best is None:
            return [_nothing(self.study)]
        parts = (self._best(), self._tie(), self._roles(), self._edges(), self._stopped())
        return [sentence for part in parts for sentence in part]

    def _best(self) -> Iterator[str]:
        assert self.best
        count = len(self.best.losses)
        mean = f", the mean of {count} seeds" if count > 1 else ""
        likely = ""
        if ends := self.contest.interval:
            low, high = sorted(self.study.sign * end for end in ends)
            likely = f"; without its luck {number(low)} to {number(high)} (95 %)"
        named = f"Best: {self.best.name}, with " if self.best.values else "All of them: "
        yield f"{named}{self.study.monitor} {self.score(self.best.loss)}{mean}{likely}."

    def _tie(self) -> Iterator[str]:
        assert self.best
        tie, count = self.contest.tie, len(self.study.compared)
        if count == 1:
            return
        if tie is None:
            yield f"Each was trained once, and {count} settings are too few to tell luck from difference."
            return
        others = [one for one in tie if one is not self.best]
        if not others:
            yield f"No other setting is as good: {self.contest.how}."
            return
        named = "; ".join(one.name for one in others[:LISTED])
        more = f"; and {len(others) - LISTED} more" if len(others) > LISTED else ""
        verb = "setting" if len(others) == 1 else "settings"
        yield f"{len(others)} other {verb} of {count} may be as good: {named}{more} ({self.contest.how})."
        if (cheap := self.cheapest) and cheap is not self.best:
            yield f"The cheapest of them is {cheap.name}: {_cost(cheap)}, where the best takes {_cost(self.best)}."

    @cached_property
    def cheapest(self) -> Setting | None:
        """The setting of the tie that takes least time to train by a tenth or more; the best one elsewhere.

        Of settings that train as much as the best one, only at another rate, more time is the machine's alone.
        """
        if self.best is None:
            return None
        work = _work(self.best)
        known = [one for one in self.contest.tie or [] if _seconds(one) and (one is self.best or _work(one) != work)]
        if not known:
            return None
        least = min(known, key=_seconds)
        return least if _seconds(least) < 0.9 * _seconds(self.best) else self.best

    def _roles(self) -> Iterator[str]:
        for one in self.compared:
            yield f"{one.words}: {self.study.monitor} {self.score(one.best.loss)} with {one.nuisance}."
        yield from unfair(self.compared)

    def _edges(self) -> Iterator[str]:
        yield from (edge.fact for edge in self.edges)

    def _importance(self) -> Iterator[str]:
        if found := self.importance:
            share = f"{found.shares[found.first[0]][0]:.0%}"
            if len(found.first) == 1:
                yield f"{found.first[0]} decides most: alone it makes about {share} of the differences."
            else:
                names = " or ".join([", ".join(found.first[:-1]), found.first[-1]])
                yield f"Which key decides most is not sure: {names}."

    def _failures(self) -> Iterator[str]:
        failed, count = len(self.study.failed), len(self.study.settings)
        if failed:
            where = (
                f", {self.failing.failed} of the {self.failing.count} with {self.failing.values}"
                if self.failing
                else ""
            )
            yield f"{failed} of {count} settings failed or diverged{where}."
        yield from self._stopped()

    def _stopped(self) -> Iterator[str]:
        if self.study.pruned:
            seconds, share = saved(self.study)
            words = f"{len(self.study.pruned)} of {len(self.study.settings)} were stopped by the pruner"
            yield f"{words}, which saved about {duration(seconds)} ({share:.0%} of all), and are not compared."

    def _enough(self) -> Iterator[str]:
        if found := self.enough:
            yield (
                f"As many trials again would hold a new best one with {found.more:.0%}; this one is, with 95 %, among "
                f"the best {found.within:.1%} of what random draws can find."
            )

    @cached_property
    def next(self) -> Step:
        """What to do next, and why."""
        return next(self._steps())

    def _steps(self) -> Iterator[Step]:
        if self.best is None:
            yield Step("No setting came to its end with a score.", f"gridstorm diagnose {shlex.quote(self.place)}")
            return
        falling = [edge for edge in self.edges if edge.is_falling and len(edge.others) > 1]
        beside = [edge for edge in self.edges if edge.others and len(edge.others) > 1 and not self.study.is_repeated]
        for edge in falling or (beside if len(self.study.keys) == 1 else []):
            values = ",".join(map(brief, edge.others))
            beyond = "above" if edge.is_top else "below"
            yield Step(
                f"The best {edge.key.name} may lie {beyond} what was tried.", self.again({edge.key.name: values})
            )
        tie = self.contest.tie
        if tie is None or (len(tie) > 1 and not self.study.is_repeated):
            count = min(len(tie), REPEATS) if tie else min(len(self.study.compared), 3)
            why = "Only seeds tell which of them is better." if count > 1 else "Only other seeds tell how good it is."
            yield Step(why, self.confirm(count))
        if tie and len(tie) > 1:
            yield Step("More seeds make the tie smaller.", self.confirm(min(len(tie), REPEATS)))
        yield Step("New seeds and the test set tell whether to adopt it.", self.confirm(1))

    def confirm(self, best: int) -> str:
        """Return the command that trains the best settings again with new seeds."""
        return f"gridstorm confirm {shlex.quote(self.place)} best={best} repeats={REPEATS}"

    def again(self, changes: Mapping[str, str]) -> str:
        """Return the sweep's command with other values, under another name."""
        words = shlex.split(str(self.study.about.get("command") or "python train.py -m"))
        known = {word.partition("=")[0].lstrip("+"): place for place, word in enumerate(words) if "=" in word}
        for key, values in {**changes, "sweep.name": f"{self.study.about.get('name') or 'sweep'}-2"}.items():
            if key in known:
                words[known[key]] = f"{key}={values}"
            else:
                words.append(f"{key}={values}")
        return shlex.join(words)


def _nothing(study: Study) -> str:
    count = len(study.settings)
    return f"None of {count} settings came to its end with a score." if count else "No trial has begun."


def _seconds(setting: Setting) -> float:
    seconds = [run.result.seconds for run in setting.runs if run.result]
    return sum(seconds) / len(seconds) if seconds else 0.0


def _work(setting: Setting) -> tuple[Any, ...]:
    """Return what tells how much a setting has to compute: its epochs, and the keys that may make a step longer."""
    keys = {key: brief(value) for key, value in setting.values.items() if not key.startswith(FREE)}
    return keys, [run.result.epochs for run in setting.runs if run.result]


def _cost(setting: Setting) -> str:
    parameters = [run.result.parameters for run in setting.runs if run.result and run.result.parameters]
    return f"{number(_seconds(setting))} s a run" + (f" and {parameters[0]:,} parameters" if parameters else "")


def content(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON has it."""
    found = answer.importance
    return {
        "sentences": answer.sentences(),
        "best": dict(answer.best.values) if answer.best else None,
        **answer.contest.content(),
        "first": [*found.first] if found else None,
        "edges": [{"key": edge.key.name, "value": edge.value, "falling": edge.is_falling} for edge in answer.edges],
        "next": {"why": answer.next.why, "command": answer.next.command},
    }
