"""A sweep: every configuration checked before the first is trained, each trained once, and a table at the end.

Its state is what its runs' directories say, so the same command goes on where it stopped.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from gridstorm.command import Axis, Composition
from gridstorm.config import seconds
from gridstorm.error import Problem, UserError, did_you_mean, say
from gridstorm.launcher import Launcher, uses_gpu
from gridstorm.lint import Draft, Span, advise
from gridstorm.record import SweepRecord, Trial, state, to_go
from gridstorm.report import Display, merged, report
from gridstorm.sweeper.adoption import adopt, foreseen, results_of
from gridstorm.sweeper.engine import Engine
from gridstorm.sweeper.estimate import within
from gridstorm.sweeper.grouping import Fusing
from gridstorm.sweeper.job import PRELOAD
from gridstorm.sweeper.plan import Plan, checked
from gridstorm.sweeper.preflight import Preflight, printed
from gridstorm.sweeper.queue import SearchQueue, TrialQueue, drawn
from gridstorm.sweeper.strategy import Strategy, is_grid, strategy_for
from gridstorm.target import build, command

MAX_RUNS = 10_000  # where the configuration does not say it
OF_SAMPLERS = ("sweep.n_trials", "sweep.seed", "sweep.from")  # what a grid would ignore


def planned_by(
    loader: ConfigLoader, master: DictConfig, arguments: Sequence[str], first: Composition | None = None
) -> Plan:
    """Return the plan of a command line.

    Args:
        loader: Hydra's loader of configurations.
        master: Hydra's own configuration, with that of the sweep.
        arguments: The overrides.
        first: What they compose to with the first of all values, where that was composed and checked already.

    Raises:
        UserError: An override is wrong, or one that a sweep cannot have.
    """
    hydra = [text for text in master.hydra.overrides.hydra if not text.startswith("hydra.mode=")]
    return Plan(loader, master.hydra.job.config_name, [*hydra, *arguments], first)


def sweep(plan: Plan) -> int:
    """Train every configuration of a plan that is not trained yet, and say them sorted by score.

    Returns:
        The exit status: 1 if a run failed, 130 or 143 where the sweep was stopped.

    Raises:
        UserError: A configuration is wrong, or the sweep cannot be carried out as asked; nothing was trained.
    """
    launcher: Launcher = build(plan.values["launcher"])
    refuse_what_no_launcher_can(plan, launcher)
    refuse_what_is_ignored(plan)
    refuse_too_many(plan)
    trials = planned(plan)
    advise(Draft(plan.values, spans(plan.axes), is_searched=not is_grid(plan)))
    strategy = strategy_for(plan)  # only now, since a sampler loads Optuna
    if strategy.study and not strategy.is_grid and not strategy.learns:
        trials = drawn(plan, strategy.study)
    launcher.prepare(PRELOAD, gpu=uses_gpu(plan.values["trainer"].get("accelerator")))
    try:
        preflight = Preflight(launcher)
        preflight.build_all(trials)
        return carry_out(plan, strategy, trials, preflight)
    finally:
        launcher.shutdown(wait=True, cancel_futures=True)


def spans(axes: Sequence[Axis]) -> list[Span]:
    """Return what each key of a sweep varies over."""
    return [
        Span(key, [row[place] for row in axis.ends()], is_interval=not axis.points, is_log=axis.log)
        for axis in axes
        for place, key in enumerate(axis.keys)
    ]


def planned(plan: Plan) -> list[Trial]:
    """Return all trials of a grid, checked; of a sampler the ends of its space, which are only checked.

    Raises:
        UserError: Some are wrong, or a grid holds an interval.
    """
    if not is_grid(plan):
        return checked(plan, plan.ends())
    endless = [axis for axis in plan.axes if not axis.points]
    if endless:
        fact = "An interval has no list of values, and a grid needs one."
        remedy = "Choose a sampler that draws from it, such as sampler=tpe, or list some: {}={:g},{:g}."
        raise UserError(
            [Problem(axis.name, fact, remedy.format(axis.keys[0], axis.low, axis.high)) for axis in endless]
        )
    return checked(plan, build(plan.values["sampler"])()(plan.axes, plan.choices))


def carry_out(plan: Plan, strategy: Strategy, trials: list[Trial], preflight: Preflight) -> int:
    """Train what is planned, or only tell what would be; return the exit status."""
    settings, n_trials = plan.settings, int(plan.settings["n_trials"])
    if strategy.is_grid and (words := merged(trials)):
        say(words)
    directory = plan.directory
    budget = seconds("sweep.budget", settings["budget"])
    if settings["dry_run"] or budget:
        fusing = fusing_for(plan, strategy, [] if strategy.learns else trials, preflight)
        estimate = preflight.estimate(trials, fusing, n_trials if strategy.learns else None)
        if budget:
            trials, n_trials = within(trials, estimate, budget, settings["trim"])
        if settings["dry_run"]:
            say(printed(trials, preflight, replace(estimate, count=n_trials if strategy.learns else len(trials))))
            if words := foreseen(plan, directory, trials, preflight):
                say(words)
            return 0
    history = SweepRecord(directory, plan.values["monitor"], plan.values["mode"])
    try:
        if strategy.learns:
            queue: TrialQueue = search_queue(plan, strategy, n_trials, history, preflight)
        else:
            adopt(plan, history, trials, preflight)
            queue = TrialQueue(trials, strategy.cutting, strategy.halving, strategy.judging, settings["seed"])
        queue.recall()
        return train(plan, strategy, queue, history, preflight)
    finally:
        history.close()


def train(plan: Plan, strategy: Strategy, queue: TrialQueue, history: SweepRecord, preflight: Preflight) -> int:
    """Carry out what is left of a sweep, print what came out, and return the exit status."""
    monitor, mode = plan.values["monitor"], plan.values["mode"]
    history.number(queue.trials)
    say(f"{state(queue.trials, queue.total)}  ->  {history.directory}")
    about = {
        "name": history.directory.name,
        "note": plan.values.get("note"),
        "tags": plan.values.get("tags") or [],
        "command": command(shlex.join(["-m", *plan.texts])),
        "monitor": monitor,
        "mode": mode,
        "scientific": plan.settings.get("scientific") or [],
        "nuisance": plan.settings.get("nuisance") or [],
        "log": [key for axis in plan.axes if axis.log for key in axis.keys],
        "drawn": [key for axis in plan.axes if not axis.points for key in axis.keys],
        "keys": [key for axis in plan.axes for key in axis.keys],
        "sampler": plan.values["sampler"]["_target_"],
        "total": queue.total,
    }
    engine = Engine(
        history.directory,
        queue,
        preflight.launcher,
        retries=plan.settings["retries"],
        timeout=seconds("sweep.timeout", plan.settings["timeout"]),
        about=about,
        fusing=fusing_for(plan, strategy, [] if queue.learns else queue.trials, preflight),
    )
    with Display(queue.total, preflight.launcher.places, monitor, mode) as display:
        status = engine.run(display)
    say(f"\n{report(history.directory, queue.trials, monitor, mode, about)}")
    if status > 1:
        say("Stopped. The same command goes on.")
    return status


def fusing_for(plan: Plan, strategy: Strategy, trials: Sequence[Trial], preflight: Preflight) -> Fusing:
    """Return which runs are trained together: of trials that are drawn one by one as many as are asked for at once."""
    setting = plan.settings["fuse"]
    if setting in ("off", False, 1):  # YAML reads off as false
        return Fusing()
    if not trials:
        return Fusing() if setting == "auto" else Fusing(setting, horizon=int(setting), unseen=int(setting))
    fusing = Fusing(setting)
    runs = [run for trial in trials for run in trial.runs if to_go(run, strategy.prunes)]
    fusing.look(runs, preflight.launcher.sharing, preflight.speedups)
    return fusing


def search_queue(
    plan: Plan, strategy: Strategy, n_trials: int, history: SweepRecord, preflight: Preflight
) -> SearchQueue:
    """Return the queue of a sampler that learns, told what is known already."""
    assert strategy.study is not None
    queue = SearchQueue(plan, strategy.study, n_trials, strategy.halving, strategy.judging)
    if plan.settings["from"]:
        queue.start_from(results_of(plan, Path(plan.settings["from"])))
    trials = queue.recalled(history)
    preflight.build_all(trials)
    adopt(plan, history, trials, preflight)
    queue.add(trials)
    return queue


def refuse_what_is_ignored(plan: Plan) -> None:
    """Refuse settings that would change nothing.

    Raises:
        UserError: There are some.
    """
    by_key = {override.key_or_group: str(override.input_line) for override in plan.parsed}
    problems = []
    if is_grid(plan):
        fact, remedy = "A grid has as many trials as points, and draws nothing.", "Leave it out, or choose sampler=tpe."
        problems += [Problem(by_key[key], fact, remedy) for key in OF_SAMPLERS if key in by_key]
    problems += roles(plan)
    if plan.settings["trim"] and not plan.settings["budget"]:
        problems.append(Problem("sweep.trim=true", "There is no budget to trim to.", "Add sweep.budget=30m."))
    if problems:
        raise UserError(problems)


def roles(plan: Plan) -> list[Problem]:
    """Return what is wrong with the keys that are named as scientific or nuisance."""
    swept = [key for axis in plan.axes for key in axis.keys]
    named = {role: plan.settings.get(role) or [] for role in ("scientific", "nuisance")}
    problems = [
        Problem(f"sweep.{role}=[{key}]", "It is not swept.", did_you_mean(key, swept))
        for role, keys in named.items()
        for key in keys
        if key not in swept
    ]
    both = [key for key in named["scientific"] if key in named["nuisance"]]
    fact, remedy = "It cannot be asked about and tuned at once.", "Name it in one of the two."
    return problems + [Problem(f"sweep.nuisance=[{key}]", fact, remedy) for key in both]


def refuse_too_many(plan: Plan) -> None:
    """Refuse more runs than `sweep.max_runs`, before any is composed.

    Raises:
        UserError: The sweep has more.
    """
    most = int(plan.settings.get("max_runs", MAX_RUNS))
    points = prod(len(axis.points) or 1 for axis in plan.axes if axis.condition is None)
    runs = len(plan.seeds) * (points if is_grid(plan) else int(plan.settings["n_trials"]))
    if runs > most:
        fact = f"The sweep has {runs:,} runs, and sweep.max_runs allows {most:,}."
        raise UserError([Problem("-m", fact, f"List fewer values, or allow them with sweep.max_runs={runs}.")])


def refuse_what_no_launcher_can(plan: Plan, launcher: Launcher) -> None:
    """Refuse a time limit where no run can be ended.

    Raises:
        UserError: A time limit is set, but this launcher cannot end a run.
    """
    seconds("sweep.timeout", plan.settings["timeout"])
    if plan.settings["timeout"] and not launcher.can_kill:
        fact = "A run in this process cannot be ended by force."
        text = f"sweep.timeout={plan.settings['timeout']}"
        raise UserError([Problem(text, fact, "Add launcher=processes.")])
