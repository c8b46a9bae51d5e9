"""Which trial comes next: of a plan that stands, or of a sampler that learns from what came out."""

import math
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gridstorm.config import Point
from gridstorm.diagnosis import beyond_help
from gridstorm.error import UserError
from gridstorm.pruner.asha import Asha
from gridstorm.pruner.diagnosis import Diagnosis
from gridstorm.record import KnownRun, Status, SweepRecord, Trial, TrialRun, first_curve, to_go
from gridstorm.sweeper.plan import Plan, checked
from gridstorm.sweeper.study import Study

PATIENCE = 200  # proposals in a row that are no new trial, after which the space counts as exhausted


class TrialQueue:
    """Trials that are known from the start.

    Args:
        trials: In the order in which they are to be trained.
        cutting: What cuts runs short by their curves; None where nothing does.
        halving: What lets runs pause and go on; None where nothing does.
        judging: What stops runs by what their curves say; None where nothing does.
        seed: Shuffles the order where runs are cut short: they are compared with those before them, which in a grid's
            order would be their neighbours.
    """

    learns = False  # whether what comes next depends on what came out

    def __init__(
        self, trials: Sequence[Trial], cutting: Study | None = None, halving: Asha | None = None,
        judging: Diagnosis | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.trials, self.cutting, self.rungs, self.judge = [*trials], cutting, Rungs(halving), Judge(judging)
        self.prunes = cutting is not None or halving is not None or judging is not None
        order = random.Random(seed).sample(self.trials, len(self.trials)) if self.prunes else self.trials
        self.unstarted = deque(order)
        self.runs: deque[tuple[Trial, TrialRun]] = deque()
        self.numbers: dict[str, int] = {}  # of trials in the study, by signature

    @property
    def total(self) -> int:
        """The number of runs in all."""
        return sum(len(trial.runs) for trial in self.trials)

    def recall(self) -> None:
        """Take up all trials, and what came out of those that are over."""
        for trial in self.trials:
            if self.cutting:
                self.numbers[trial.signature] = self.cutting.place(trial.point) if trial.ask is None else trial.ask
        for trial in self.trials:
            if trial.over:
                for epoch, score in first_curve(trial) if self.cutting else ():
                    self.report(trial, epoch, score)
                self._conclude(trial)

    def next(self) -> tuple[Trial, TrialRun] | None:
        """Return the next run, None where there is none now; one that pauses may go on after others have ended."""
        while not self.runs:
            if name := self.rungs.promoted():
                trial = next(trial for trial in self.trials if trial.signature == name)
                self.runs.append((trial, trial.runs[0]))
            elif fresh := self._fresh():
                self._enqueue(fresh)
            else:
                return None
        return self.runs.popleft()

    def _fresh(self) -> Trial | None:
        return self.unstarted.popleft() if self.unstarted else None

    def _enqueue(self, trial: Trial) -> None:
        """Queue what is left of a trial; where runs are cut short, its first run goes before the others."""
        left = [run for run in trial.runs if to_go(run, self.prunes)]
        first = trial.runs[0]
        if self.prunes and first.status != Status.DONE:
            left = [first] if first in left else []
        self.runs.extend((trial, run) for run in left)

    def limit(self, trial: Trial, run: TrialRun) -> int | None:
        """Return the number of epochs after which a run is to pause, None where it goes on to its end."""
        return self.rungs.limit(run) if run is trial.runs[0] else None

    def report(self, trial: Trial, epoch: int, score: float | None) -> bool:
        """Take up a point of a trial's curve; return whether to cut the trial short."""
        if self.judge.stops(trial, epoch, score):
            return True
        return self.cutting is not None and self.cutting.report(self.numbers[trial.signature], epoch, score)

    def ended(self, trial: Trial, run: TrialRun) -> None:
        """Take up that a run is over."""
        if trial.over:
            self._conclude(trial)
        elif self.prunes and run is trial.runs[0]:  # however it ended: one that failed is not tried for ever
            self.runs.extend((trial, other) for other in trial.runs[1:] if to_go(other, self.prunes))

    def _conclude(self, trial: Trial) -> None:
        """Take up what came out of a trial."""
        self.rungs.note(trial)
        self.judge.note(trial, trial.score)
        if self.cutting:
            self.cutting.conclude(self.numbers[trial.signature], trial.status, trial.score)


class SearchQueue(TrialQueue):
    """Trials that a sampler proposes one by one, from what came out of those before.

    Args:
        plan: What composes a point.
        study: The sampler.
        n_trials: How many trials there are to be.
        halving: What lets runs pause and go on; None where nothing does.
        judging: What stops runs by what their curves say; None where nothing does.
    """

    learns = True

    def __init__(
        self, plan: Plan, study: Study, n_trials: int, halving: Asha | None = None, judging: Diagnosis | None = None
    ) -> None:
        super().__init__([], study if study.cuts else None, halving, judging)
        self.plan, self.study, self.n_trials, self.before = plan, study, n_trials, 0
        self.seen: set[str] = set()  # points that were proposed

    @property
    def total(self) -> int:
        """The number of runs in all."""
        return max(self.n_trials, len(self.trials)) * len(self.plan.seeds)

    def start_from(self, history: Sequence[tuple[Point, float | None, Status]]) -> None:
        """Tell the sampler what came out of another sweep: points with score and status."""
        for self.before, (point, score, status) in enumerate(history, 1):
            self.study.recall(self.before - 1, point, {}, status, score, [])

    def add(self, trials: Sequence[Trial]) -> None:
        """Take trials that were proposed before."""
        self.trials += trials
        self.unstarted.extend(trials)

    def recalled(self, history: SweepRecord) -> list[Trial]:
        """Return the trials of the directory that the sampler proposed, in the order in which it did."""
        asked: dict[int, KnownRun] = {
            known.trial["ask"]: known for known in history.known if known.trial["ask"] is not None
        }
        trials = []
        for ask in sorted(asked):
            try:
                trial = self.plan.trial(dict(asked[ask].trial["values"]))
            except UserError:
                continue
            if trial.signature in {known.signature for known in history.known}:
                trial.ask, trial.attrs = ask, asked[ask].trial["attrs"]
                trials.append(trial)
        return trials

    def recall(self) -> None:
        """Tell the sampler of the trials that it proposed before; one that pauses is not over for it."""
        for trial in self.trials:
            assert trial.ask is not None
            self.seen.add(str(trial.point))
            number = self.numbers[trial.signature] = self.before + trial.ask
            over = trial.over and not self.rungs.holds(trial)
            points = first_curve(trial) if trial.over and (self.prunes or trial.status == Status.PRUNED) else []
            state = trial.status if over else Status.RUNNING
            self.study.recall(number, trial.point, trial.attrs, state, trial.score, points)
            self.rungs.note(trial)
            self.judge.note(trial, trial.score)

    def _conclude(self, trial: Trial) -> None:
        self.rungs.note(trial)
        self.judge.note(trial, trial.score)
        if not self.rungs.holds(trial):
            self.study.conclude(self.numbers[trial.signature], trial.status, trial.score)

    def _fresh(self) -> Trial | None:
        if self.unstarted:
            return self.unstarted.popleft()
        fresh = self._proposed() if len(self.trials) < self.n_trials else None
        self.trials += [fresh] if fresh else []
        return fresh

    def _proposed(self) -> Trial | None:
        """Ask for a trial that is new; None where there is none, or none seems to be left."""
        for _ in range(PATIENCE):
            if self.plan.size is not None and len(self.seen) >= self.plan.size:
                return None
            number, point, attrs = self.study.propose()
            is_known = str(point) in self.seen
            self.seen.add(str(point))
            trial = None if is_known else self._composed(point)
            if trial is None or trial.signature in self.numbers:
                self.study.conclude(number, Status.FAILED)  # the sampler learns nothing of it
                continue
            trial.ask, trial.attrs = number - self.before, attrs
            self.numbers[trial.signature] = number
            return trial
        return None

    def _composed(self, point: Point) -> Trial | None:
        """Return the trial at a point, None where something is wrong with its configuration."""
        try:
            return self.plan.trial(point)
        except UserError:
            return None


class Rungs:
    """Where runs pause, and which of them go on; without a rule, every run goes on to its end."""

    def __init__(self, rule: Asha | None) -> None:
        self.rule = rule

    def holds(self, trial: Trial) -> bool:
        """Tell whether a trial pauses, so that it may go on."""
        return self.rule is not None and trial.status == Status.PRUNED

    def limit(self, run: TrialRun) -> int | None:
        """Return the number of epochs after which a run is to pause next."""
        if self.rule is None:
            return None
        trained = run.record.rows() if run.record else []
        epochs = int(trained[-1]["epoch"]) if trained else 0
        if trained and run.status != Status.PRUNED:
            epochs -= 1  # a run that was killed at a rung has not paused there yet
        return self.rule.limit(epochs, _max_epochs(run))

    def note(self, trial: Trial) -> None:
        """Take up the scores of a trial at its rungs, and that it went on from all but the last."""
        if self.rule is None or trial.status not in (Status.DONE, Status.PRUNED):
            return
        run, curve = trial.runs[0], dict(first_curve(trial))
        epochs = max(curve, default=0)
        for rung in self.rule.rungs(_max_epochs(run)):
            if (score := curve.get(rung)) is not None:
                self.rule.note(trial.signature, rung, score, run.config.values["mode"])
            if rung < epochs:
                self.rule.go_on(trial.signature, rung)

    def promoted(self) -> str | None:
        """Return the signature of a trial that may go on from its rung, None where there is none."""
        promotable = self.rule.promotable() if self.rule else None
        if self.rule is None or promotable is None:
            return None
        self.rule.go_on(*promotable)
        return promotable[0]


class Judge:
    """Which runs are beyond help, by what their curves say; without a rule, none is."""

    def __init__(self, rule: Diagnosis | None) -> None:
        self.rule = rule
        self.best: dict[str, float] = {}  # the least loss of each trial so far, by signature

    def note(self, trial: Trial, score: float | None) -> None:
        """Take up a score of a trial."""
        if self.rule is not None and score is not None:
            loss = score if trial.runs[0].config.values["mode"] == "min" else -score
            self.best[trial.signature] = min(loss, self.best.get(trial.signature, math.inf))

    def stops(self, trial: Trial, epoch: int, score: float | None) -> bool:
        """Take up a point of a trial's curve; tell whether its curves say that it is beyond help."""
        self.note(trial, score)
        run, own = trial.runs[0], self.best.get(trial.signature, math.inf)
        if self.rule is None or run.record is None or epoch >= _max_epochs(run):
            return False  # at its last epoch it ends anyway
        if not any(loss < own for name, loss in self.best.items() if name != trial.signature):
            return False  # it is the best one so far
        return beyond_help(run.record, self.rule.findings, self.rule.epochs(epoch), _max_epochs(run))


def _max_epochs(run: TrialRun) -> int:
    return int(run.config.values["trainer"]["max_epochs"] or 1)


def drawn(plan: Plan, study: Study) -> list[Trial]:
    """Return all trials of a sampler whose proposals do not depend on what came out; equal ones are one.

    Raises:
        UserError: Some are wrong.
    """
    asked: dict[str, tuple[int, Mapping[str, Any]]] = {}
    limit, trials = int(plan.settings["n_trials"]), dict[str, Trial]()

    def points(count: int) -> Iterator[Point]:
        """Yield so many points that were not drawn before, or those that are left."""
        for _ in range(PATIENCE * count):
            if count == 0 or (plan.size is not None and len(asked) >= plan.size):
                return
            number, point, attrs = study.propose()
            if str(point) not in asked:
                asked[str(point)] = number, attrs
                count -= 1
                yield point

    while len(trials) < limit:
        fresh = checked(plan, points(limit - len(trials)))
        for trial in fresh:
            trial.ask = asked[str(trial.point)][0]
            trials.setdefault(trial.signature, trial)
        if not fresh:
            break
    return [*trials.values()]
