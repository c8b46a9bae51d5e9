"""Which results that are there already count: those in the sweep's own directory, and those of another sweep."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gridstorm.config import Point, RunConfig
from gridstorm.error import Problem, UserError, say
from gridstorm.record import FORMAT, KnownRun, Status, SweepRecord, Trial, code, read
from gridstorm.report import defaults_differ
from gridstorm.sweeper.plan import Plan
from gridstorm.sweeper.preflight import Preflight


def results_of(plan: Plan, directory: Path) -> list[tuple[Point, float | None, Status]]:
    """Return point, score and status of each finished run of another sweep that lies in this one's space.

    Raises:
        UserError: There are none, or their scores are of another metric.
    """
    ends = [(run, result) for run in read(directory) if (result := run.result) and result.status != Status.FAILED]
    results = []
    for run, result in ends:
        if (result.monitor, result.mode) == (plan.values["monitor"], plan.values["mode"]):
            point = plan.point_of(run.record.config)
            results += [(point, result.score, result.status)] if point is not None else []
    if not results:
        fact = f"None of its {len(ends)} finished runs lies in this space and has this score."
        raise UserError([Problem(f"sweep.from={directory}", fact, "Name the directory of a sweep over the same keys.")])
    return results


def adopt(plan: Plan, history: SweepRecord, trials: Sequence[Trial], preflight: Preflight) -> None:
    """Match what is planned with the runs in the directory.

    Raises:
        UserError: Some were made by other code or on other data, and `sweep.stale` does not say what to do with them.
    """
    policy, reasons = plan.settings["stale"], Counter[str]()

    def stale(config: RunConfig, earlier: KnownRun) -> bool:
        changed = differs(config, earlier, preflight)
        reasons.update([changed] if changed else [])
        return bool(changed) and policy != "keep"

    history.adopt(trials, stale)
    if words := other_defaults(history.known, trials):
        say(words)
    for words in history.aside:
        say(f"Set aside, and trained anew: {words}.")
    message = _in_words(reasons)
    if message and policy is None:
        remedy = (
            "Take them as they are with sweep.stale=keep, or train them again beside the old with sweep.stale=retrain."
        )
        raise UserError([Problem(str(history.directory), f"{message}.", remedy)])
    if message:
        say(f"{message}: {'kept' if policy == 'keep' else 'trained again'}")


def other_defaults(known: Sequence[KnownRun], trials: Sequence[Trial]) -> str:
    """Return what an upgrade, or an edited file, has changed since these points were trained; empty for nothing."""
    planned = {_point(trial.point, run.seed): run.config for trial in trials for run in trial.runs}
    signatures = {config.signature for config in planned.values()}
    there = {run.signature for run in known}
    for run in (run for run in known if run.signature not in signatures):
        config = planned.get(_point(run.trial["values"], run.trial["seed"]))
        with suppress(UserError):  # of a record that is damaged
            if not config or config.signature in there or not (changed := defaults_differ(run.record.config, config)):
                continue
            return f"Other defaults than in {run.record.directory}: {'; '.join(changed)}. Such runs are trained anew."
    return ""


def _point(values: Point, seed: int) -> str:
    return json.dumps([values, seed], sort_keys=True, default=str)


def foreseen(plan: Plan, directory: Path, trials: Sequence[Trial], preflight: Preflight) -> str:
    """Return in words what `adopt` would say of the results that are there; empty where it would say nothing."""
    earlier = {run.signature: run for run in read(directory) if run.result}
    runs = [run.config for trial in trials for run in trial.runs if run.config.signature in earlier]
    reasons = Counter(filter(None, (differs(config, earlier[config.signature], preflight) for config in runs)))
    words = _in_words(reasons)
    policy = plan.settings["stale"] or "keep or sweep.stale=retrain says what is done with them"
    return f"{words}: sweep.stale={policy}." if words else ""


def _in_words(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} runs were made with {reason}" for reason, count in reasons.items())


def differs(config: RunConfig, earlier: KnownRun, preflight: Preflight) -> str:
    """Return in what a known run differs from one that would be made now, empty if in nothing."""
    made = (earlier.result and earlier.result.made_by) or earlier.record.environment.get("made_by")
    if not made:
        return ""
    built = preflight.built(config)
    now = {"code": code(config.recipe), "data": built.data, "torch": built.torch}
    if earlier.format < FORMAT:  # code that is read from other files is always another
        del now["code"]
    older = ["an older Gridstorm"] if earlier.format < FORMAT else []
    return " and ".join([*older, *(f"other {name}" for name in now if made.get(name) != now[name])])
