"""Which trial comes next: of a plan that stands, or of a sampler that learns from what came out."""

import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gridstorm.config import Composed, Point
from gridstorm.error import Refusal
from gridstorm.pruner.asha import Asha
from gridstorm.record import History, Known, Run, Trial, to_go
from gridstorm.sweeper.plan import Plan, checked
from gridstorm.sweeper.study import Search

PATIENCE = 200  # proposals in a row that are no new configuration, after which the space counts as exhausted


class Planned:
    """Trials that are known from the start.

    Args:
        trials: In the order in which they are to be trained.
        search: What cuts runs short by their curves; None where nothing does.
        halving: What lets runs pause and go on; None where nothing does.
        seed: Shuffles the order where runs are cut short: they are compared with those before them, which in a grid's
            order would be their neighbours.
    """

    def __init__(
        self, trials: Sequence[Trial], search: Search | None = None, halving: Asha | None = None, seed: int = 0
    ) -> None:
        self.trials, self.search, self.halving = [*trials], search, halving
        self.pruning = search is not None or halving is not None
        order = random.Random(seed).sample(self.trials, len(self.trials)) if self.pruning else self.trials
        self.todo = deque(order)
        self.queue: deque[tuple[Trial, Run]] = deque()
        self.numbers: dict[str, int] = {}

    @property
    def total(self) -> int:
        """The number of runs in all."""
        return sum(len(trial.runs) for trial in self.trials)

    def begin(self) -> None:
        """Take up all trials, and what came out of those that are over."""
        for trial in self.trials:
            if self.search:
                self.numbers[trial.signature] = self.search.place(trial.point) if trial.ask is None else trial.ask
        for trial in self.trials:
            if trial.over:
                for epoch, score in told(trial) if self.search else ():
                    self.report(trial, epoch, score)
                self._take_up(trial)

    def next(self) -> tuple[Trial, Run] | None:
        """Return the next run, None where there is none now; one that pauses may go on after others have ended."""
        while not self.queue:
            if promoted := self.halving.promotable() if self.halving else None:
                name, rung = promoted
                assert self.halving is not None
                self.halving.go_on(name, rung)
                trial = next(one for one in self.trials if one.signature == name)
                self.queue.append((trial, trial.runs[0]))
            elif fresh := self._fresh():
                self._enqueue(fresh)
            else:
                return None
        return self.queue.popleft()

    def _fresh(self) -> Trial | None:
        return self.todo.popleft() if self.todo else None

    def _enqueue(self, trial: Trial) -> None:
        """Queue what is left of a trial; where runs are cut short, its first run goes before the others."""
        left = [run for run in trial.runs if to_go(run, self.pruning)]
        first = trial.runs[0]
        if self.pruning and first.status != "done":
            left = [first] if first in left else []
        self.queue.extend((trial, run) for run in left)

    def limit(self, trial: Trial, run: Run) -> int | None:
        """Return the number of epochs after which a run is to pause, None where it goes on to its end."""
        if self.halving is None or run is not trial.runs[0]:
            return None
        trained = run.record.rows() if run.record else []
        # A run that was killed at a rung has not paused there yet.
        epochs = int(trained[-1]["epoch"]) - (run.status != "pruned") if trained else 0
        return self.halving.limit(epochs, int(run.composed.config["trainer"]["max_epochs"] or 1))

    def report(self, trial: Trial, epoch: int, score: float | None) -> bool:
        """Take up a point of a trial's curve; return whether to cut the trial short."""
        if self.search is None or not self.pruning or self.halving:
            return False
        return self.search.report(self.numbers[trial.signature], epoch, score)

    def ended(self, trial: Trial, run: Run) -> None:
        """Take up that a run is over."""
        if trial.over:
            self._take_up(trial)
        elif self.pruning and run is trial.runs[0]:
            self._enqueue(trial)

    def _take_up(self, trial: Trial) -> None:
        """Take up what came out of a trial; one that pauses is not over for the sampler."""
        self._take_up_rungs(trial)
        if self.search and not (self.halving and trial.status == "pruned"):
            self.search.conclude(self.numbers[trial.signature], trial.status, trial.score)

    def _take_up_rungs(self, trial: Trial) -> None:
        if self.halving and trial.status in ("done", "pruned"):
            config, curve = trial.runs[0].composed.config, dict(told(trial))
            epochs = max(curve, default=0)
            for rung in self.halving.rungs(int(config["trainer"]["max_epochs"] or 1)):
                if (score := curve.get(rung)) is not None:
                    self.halving.note(trial.signature, rung, score, config["mode"])
                if rung < epochs:
                    self.halving.go_on(trial.signature, rung)


class Learning(Planned):
    """Trials that a sampler proposes one by one, from what came out of those before.

    Args:
        plan: What composes a point.
        search: The sampler.
        pruning: Whether runs are cut short.
        halving: What lets runs pause and go on; None where nothing does.
    """

    def __init__(self, plan: Plan, search: Search, pruning: bool, halving: Asha | None = None) -> None:
        super().__init__([], search, halving)
        self.plan, self.pruning, self.before = plan, pruning, 0

    @property
    def total(self) -> int:
        """The number of runs in all."""
        return max(int(self.plan.settings["n_trials"]), len(self.trials)) * len(self.plan.seeds)

    def start_from(self, history: Sequence[tuple[Point, float | None, str]]) -> None:
        """Tell the sampler what came out of another sweep: points with score and status."""
        assert self.search is not None
        for self.before, (point, score, status) in enumerate(history, 1):
            self.search.recall(self.before - 1, point, {}, status, score, [])

    def recalled(self, history: History) -> list[Trial]:
        """Return the trials of the directory that the sampler proposed, in the order in which it did."""
        asked: dict[int, Known] = {one.trial["ask"]: one for one in history.known if one.trial["ask"] is not None}
        found = []
        for ask in sorted(asked):
            try:
                trial = self.plan.trial(dict(asked[ask].trial["values"]))
            except Refusal:
                continue
            if trial.signature in {one.signature for one in history.known}:
                trial.ask, trial.attrs = ask, asked[ask].trial["attrs"]
                found.append(trial)
        return found

    def begin(self) -> None:
        """Tell the sampler of the trials that it proposed before."""
        assert self.search is not None
        for trial in self.trials:
            assert trial.ask is not None
            number = self.numbers[trial.signature] = self.before + trial.ask
            points = told(trial) if self.pruning or trial.status == "pruned" else []
            pauses = self.halving is not None and trial.status == "pruned"
            state = trial.status if trial.over and not pauses else "running"
            self.search.recall(number, trial.point, trial.attrs, state, trial.score, points if trial.over else [])
            self._take_up_rungs(trial)

    def _fresh(self) -> Trial | None:
        if self.todo:
            return self.todo.popleft()
        fresh = self._proposed() if len(self.trials) < int(self.plan.settings["n_trials"]) else None
        self.trials += [fresh] if fresh else []
        return fresh

    def _proposed(self) -> Trial | None:
        """Ask for a configuration that is new; None where there seems to be none."""
        assert self.search is not None
        for _ in range(PATIENCE):
            number, point, attrs = self.search.propose()
            try:
                trial = self.plan.trial(point)
            except Refusal:
                self.search.conclude(number, "failed")
                continue
            if trial.signature in self.numbers:
                self.search.conclude(number, "skipped")
                continue
            trial.ask, trial.attrs = number - self.before, attrs
            self.numbers[trial.signature] = number
            return trial
        return None


def drawn(plan: Plan, search: Search) -> list[Trial]:
    """Return all trials of a sampler whose proposals do not depend on what came out; equal ones are one.

    Raises:
        Refusal: Some are wrong.
    """
    asked: dict[str, tuple[int, Mapping[str, Any]]] = {}
    wanted, trials = int(plan.settings["n_trials"]), dict[str, Trial]()

    def points(count: int) -> Iterator[Point]:
        for _ in range(count):
            number, point, attrs = search.propose()
            asked.setdefault(str(point), (number, attrs))
            yield point

    for _ in range(PATIENCE):
        for trial in checked(plan, points(wanted - len(trials))):
            trial.ask = asked[str(trial.point)][0]
            trials.setdefault(trial.signature, trial)
        if len(trials) == wanted:
            break
    return [*trials.values()]


def told(trial: Trial) -> list[tuple[int, float | None]]:
    """Return the curve of a trial's first run."""
    run = trial.runs[0]
    return curve(run.record.rows(), run.composed) if run.record else []


def curve(rows: Sequence[Mapping[str, Any]], composed: Composed) -> list[tuple[int, float | None]]:
    """Return (epoch, best score so far) at each epoch's end: what the run would leave if it were stopped there."""
    name = f"best/{composed.config['monitor'].partition('/')[2]}"
    return [(int(row["epoch"]), row[name]) for row in rows if name in row]
