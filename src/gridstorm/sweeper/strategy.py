"""Which strategy a sweep follows: a grid or a sampler, with or without cutting runs short."""

from gridstorm.pruner.asha import Asha
from gridstorm.sweeper.plan import Plan
from gridstorm.sweeper.study import Search
from gridstorm.target import build

GRID = "gridstorm.sampler.grid.Grid"
ASHA = "gridstorm.pruner.asha.Asha"
NO_PRUNER = "optuna.pruners.NopPruner"


def search_for(plan: Plan) -> Search | None:
    """Return what proposes points or cuts runs short; None for a grid whose runs are all trained to their end."""
    if is_grid(plan) and (not prunes(plan) or halving(plan)):
        return None
    return Search(
        plan.axes,
        plan.choices,
        None if is_grid(plan) else plan.config["sampler"],
        {"_target_": NO_PRUNER} if halving(plan) else plan.config["pruner"],
        mode=plan.config["mode"],
        seed=plan.settings["seed"],
        max_epochs=int(plan.config["trainer"]["max_epochs"] or 1),
    )


def is_grid(plan: Plan) -> bool:
    """Tell whether every combination is trained."""
    return bool(plan.config["sampler"]["_target_"] == GRID)


def prunes(plan: Plan) -> bool:
    """Tell whether runs are cut short."""
    return bool(plan.config["pruner"]["_target_"] != NO_PRUNER)


def halving(plan: Plan) -> Asha | None:
    """Return what lets runs pause and go on, None where the pruner is another."""
    if plan.config["pruner"]["_target_"] != ASHA:
        return None
    rule: Asha = build(plan.config["pruner"])
    return rule


def learns(search: Search | None) -> bool:
    """Tell whether what is proposed depends on what came out."""
    return search is not None and not search.upfront
