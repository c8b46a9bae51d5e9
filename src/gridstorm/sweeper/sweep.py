"""A sweep: every configuration checked before the first is trained, each trained once, and a table at the end.

Its state is what its runs' directories say, so the same command goes on where it stopped.
"""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig

from gridstorm.config import Composed, Point, seconds
from gridstorm.error import Problem, Refusal
from gridstorm.launcher import Launcher
from gridstorm.record import FORMAT, History, Known, Trial, code, read, state, to_go
from gridstorm.report import Display, report
from gridstorm.sweeper.engine import Engine
from gridstorm.sweeper.estimate import within
from gridstorm.sweeper.grouping import Fusing
from gridstorm.sweeper.job import PRELOAD
from gridstorm.sweeper.plan import Plan, checked
from gridstorm.sweeper.preflight import Preflight, printed
from gridstorm.sweeper.queue import Learning, Planned, drawn
from gridstorm.sweeper.strategy import halving, is_grid, learns, prunes, search_for
from gridstorm.sweeper.study import Search
from gridstorm.target import build

FEW = 3  # trials that are listed in words
OF_SAMPLERS = ("sweep.n_trials", "sweep.seed", "sweep.from")  # what a grid would ignore


def sweep(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
    """Train every configuration that `arguments` span and that is not trained yet, and print them sorted by score.

    Raises:
        Refusal: A configuration is wrong, or the sweep cannot be carried out as asked; nothing was trained.
        SystemExit: With 1 if a run failed, with 130 or 143 where the sweep was stopped.
    """
    hydra = [text for text in master.hydra.overrides.hydra if not text.startswith("hydra.mode=")]
    plan = Plan(loader, master.hydra.job.config_name, [*hydra, *arguments], master)
    refuse_what_is_ignored(plan)
    launcher: Launcher = build(plan.config["launcher"])
    refuse_what_no_launcher_can(plan, launcher)
    trials = planned(plan)
    search = search_for(plan)
    if search and not is_grid(plan) and search.upfront:
        trials = drawn(plan, search)
    launcher.prepare(PRELOAD, gpu=uses_gpu(plan.config))
    try:
        preflight = Preflight(launcher)
        preflight.look(trials)
        status = carry_out(plan, search, trials, preflight)
    finally:
        launcher.shutdown(wait=True, cancel_futures=True)
    if status:
        sys.exit(status)


def planned(plan: Plan) -> list[Trial]:
    """Return all trials of a grid, checked; of a sampler the ends of its space, which are only checked.

    Raises:
        Refusal: Some are wrong, or a grid holds an interval.
    """
    if not is_grid(plan):
        return checked(plan, plan.ends())
    endless = [one for one in plan.axes if not one.points]
    if endless:
        fact = "An interval has no list of values, and a grid needs one."
        remedy = "Choose a sampler that draws from it, such as sampler=tpe, or list some: {}={:g},{:g}."
        raise Refusal([Problem(one.name, fact, remedy.format(one.keys[0], one.low, one.high)) for one in endless])
    return checked(plan, build(plan.config["sampler"])()(plan.axes, plan.choices))


def carry_out(plan: Plan, search: Search | None, trials: list[Trial], preflight: Preflight) -> int:
    """Train what is planned, or only tell what would be; return the exit status."""
    settings, learning = plan.settings, learns(search)
    if is_grid(plan) and (words := merged(trials)):
        print(words, flush=True)
    budget = seconds("sweep.budget", settings["budget"])
    if settings["dry_run"] or budget:
        fusing = fusing_for(plan, [] if learning else trials, preflight)
        estimate = preflight.estimate(trials, fusing, int(settings["n_trials"]) if learning else None)
        if budget:
            trials, settings["n_trials"] = within(trials, estimate, budget, settings["trim"])
        if settings["dry_run"]:
            print(
                printed(trials, preflight, replace(estimate, count=settings["n_trials"] if learning else len(trials)))
            )
            return 0
    directory = Path(plan.config["output_dir"], plan.name())
    history = History(directory, plan.config["monitor"], plan.config["mode"])
    try:
        if learning:
            assert search is not None
            proposals: Planned = learner(plan, search, history, preflight)
        else:
            adopt(plan, history, trials, preflight)
            cutting = search if prunes(plan) and not halving(plan) else None
            proposals = Planned(trials, cutting, halving(plan), settings["seed"])
        proposals.begin()
        return train(plan, proposals, history, preflight)
    finally:
        history.close()


def train(plan: Plan, proposals: Planned, history: History, preflight: Preflight) -> int:
    """Carry out what is left of a sweep, print what came out, and return the exit status."""
    monitor, mode = plan.config["monitor"], plan.config["mode"]
    history.number(proposals.trials)
    print(f"{state(proposals.trials, proposals.total)}  ->  {history.directory}", flush=True)
    told = {
        "name": history.directory.name,
        "command": shlex.join(["python", "train.py", "-m", *plan.texts]),
        "monitor": monitor,
        "mode": mode,
        "keys": [key for axis in plan.axes for key in axis.keys],
        "sampler": plan.config["sampler"]["_target_"],
        "total": proposals.total,
    }
    engine = Engine(
        history.directory,
        proposals,
        preflight.launcher,
        retries=plan.settings["retries"],
        timeout=seconds("sweep.timeout", plan.settings["timeout"]),
        told=told,
        fusing=fusing_for(plan, [] if isinstance(proposals, Learning) else proposals.trials, preflight),
    )
    with Display(proposals.total, preflight.launcher.places, monitor, mode) as display:
        status = engine.run(display)
    print(f"\n{report(history.directory, proposals.trials, monitor, mode)}")
    if status > 1:
        print("Stopped. The same command goes on.")
    return status


def merged(trials: Sequence[Trial]) -> str:
    """Return in words which points are trained once, since they differ in nothing that can change a number."""
    lines = [f"  {', '.join(trial.merged)}: as {trial.label}" for trial in trials if trial.merged]
    count = sum(len(trial.merged) for trial in trials)
    first = f"{count} of {count + len(trials)} points differ from another one in nothing that changes a number:"
    more = [f"  and {len(lines) - FEW} more"] if len(lines) > FEW else []
    return "\n".join([first, *lines[:FEW], *more]) if lines else ""


def fusing_for(plan: Plan, trials: Sequence[Trial], preflight: Preflight) -> Fusing:
    """Return which runs are trained together: of trials that are drawn one by one as many as are asked for at once."""
    wanted = {"off": 1, False: 1}.get(plan.settings["fuse"], plan.settings["fuse"])
    fusing = Fusing(wanted)
    if wanted == 1:
        return fusing
    if trials:
        runs = [run for trial in trials for run in trial.runs if to_go(run, prunes(plan))]
        fusing.look(runs, preflight.launcher.sharing, preflight.gains)
    elif wanted != "auto":
        fusing.horizon = fusing.unseen = int(wanted)
    return fusing


def learner(plan: Plan, search: Search, history: History, preflight: Preflight) -> Learning:
    """Return the proposals of a sampler that learns, told what is known already."""
    proposals = Learning(plan, search, prunes(plan), halving(plan))
    if plan.settings["from"]:
        proposals.start_from(told_by(plan, Path(plan.settings["from"])))
    trials = proposals.recalled(history)
    preflight.look(trials)
    adopt(plan, history, trials, preflight)
    proposals.trials += trials
    proposals.todo.extend(trials)
    return proposals


def told_by(plan: Plan, directory: Path) -> list[tuple[Point, float | None, str]]:
    """Return point, score and status of each finished run of another sweep that lies in this one's space.

    Raises:
        Refusal: There are none, or their scores are of another metric.
    """
    known = [one for one in read(directory) if one.result.get("status") in ("done", "diverged", "pruned")]
    found = []
    for one in known:
        composed = one.record.composed
        if (one.result["monitor"], one.result["mode"]) == (plan.config["monitor"], plan.config["mode"]):
            point = plan.point_of(composed)
            found += [(point, one.result["score"], str(one.result["status"]))] if point is not None else []
    if not found:
        fact = f"None of its {len(known)} finished runs lies in this space and has this score."
        raise Refusal([Problem(f"sweep.from={directory}", fact, "Name the directory of a sweep over the same keys.")])
    return found


def adopt(plan: Plan, history: History, trials: Sequence[Trial], preflight: Preflight) -> None:
    """Match what is planned with the runs in the directory.

    Raises:
        Refusal: Some were made by other code or on other data, and `sweep.stale` does not say what to do with them.
    """
    policy, reasons = plan.settings["stale"], Counter[str]()

    def stale(composed: Composed, known: Known) -> bool:
        changed = differs(composed, known, preflight)
        reasons.update([changed] if changed else [])
        return bool(changed) and policy != "keep"

    history.adopt(trials, stale)
    for words in history.aside:
        print(f"Set aside, and trained anew: {words}.")
    told = [f"{count} runs were made with {reason}" for reason, count in reasons.items()]
    if told and policy is None:
        remedy = (
            "Take them as they are with sweep.stale=keep, or train them again beside the old with sweep.stale=retrain."
        )
        raise Refusal([Problem(str(history.directory), f"{', '.join(told)}.", remedy)])
    if told:
        print(f"{', '.join(told)}: {'kept' if policy == 'keep' else 'trained again'}")


def differs(composed: Composed, known: Known, preflight: Preflight) -> str:
    """Return in what a known run differs from one that would be made now, empty if in nothing."""
    made = known.result.get("made_by") or known.record.environment.get("made_by")
    if not made:
        return ""
    facts = preflight.facts(composed)
    now = {"code": code(composed.recipe), "data": facts.data, "torch": facts.torch}
    if known.format < FORMAT:  # code that is read from other files is always another
        del now["code"]
    older = ["an older Gridstorm"] if known.format < FORMAT else []
    return " and ".join([*older, *(f"other {name}" for name in now if made.get(name) != now[name])])


def uses_gpu(config: dict[str, Any]) -> bool:
    """Tell whether runs are trained on GPUs, as far as can be told without loading torch."""
    accelerator = config["trainer"].get("accelerator")
    there = any(Path("/proc/driver/nvidia/gpus").glob("*")) and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
    return accelerator in ("gpu", "cuda") or (accelerator == "auto" and there)


def refuse_what_is_ignored(plan: Plan) -> None:
    """Refuse settings that would change nothing.

    Raises:
        Refusal: There are some.
    """
    given = {one.key_or_group: str(one.input_line) for one in plan.parsed}
    problems = []
    if is_grid(plan):
        fact, remedy = "A grid has as many trials as points, and draws nothing.", "Leave it out, or choose sampler=tpe."
        problems += [Problem(given[key], fact, remedy) for key in OF_SAMPLERS if key in given]
    if plan.settings["trim"] and not plan.settings["budget"]:
        problems.append(Problem("sweep.trim=true", "There is no budget to trim to.", "Add sweep.budget=30m."))
    if not plan.axes and len(plan.seeds) < 2:
        fact, remedy = "Nothing has several values.", "List some, such as optimizer.lr=0.001,0.01, or leave out -m."
        problems.append(Problem("-m", fact, remedy))
    if problems:
        raise Refusal(problems)


def refuse_what_no_launcher_can(plan: Plan, launcher: Launcher) -> None:
    """Refuse a time limit where no run can be ended.

    Raises:
        Refusal: So it is.
    """
    seconds("sweep.timeout", plan.settings["timeout"])
    if plan.settings["timeout"] and not launcher.can_kill:
        fact = "A run in this process cannot be ended by force."
        given = f"sweep.timeout={plan.settings['timeout']}"
        raise Refusal([Problem(given, fact, "Add launcher=processes.")])
