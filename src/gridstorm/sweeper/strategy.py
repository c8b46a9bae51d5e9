"""Which strategy a sweep follows: a grid or a sampler, with or without cutting runs short."""

from dataclasses import dataclass

from gridstorm.diagnosis import RULE_NAMES
from gridstorm.error import Problem, UserError, did_you_mean
from gridstorm.pruner.asha import Asha
from gridstorm.pruner.diagnosis import Diagnosis
from gridstorm.sweeper.plan import Plan
from gridstorm.sweeper.study import Study
from gridstorm.target import build, find

GRID = "gridstorm.sampler.grid.Grid"
ASHA, DIAGNOSIS = "gridstorm.pruner.asha.Asha", "gridstorm.pruner.diagnosis.Diagnosis"
NO_PRUNER = "optuna.pruners.NopPruner"


@dataclass(frozen=True)
class Strategy:
    """How a sweep goes about it.

    Args:
        is_grid: Whether every combination is trained; otherwise a sampler proposes points.
        study: What proposes points, or cuts runs short by their curves; None where nothing does.
        halving: What lets runs pause and go on; None where nothing does.
        judging: What stops runs by what their curves say; None where nothing does.
    """

    is_grid: bool
    study: Study | None
    halving: Asha | None
    judging: Diagnosis | None = None

    @property
    def learns(self) -> bool:
        """Whether what is proposed depends on what came out."""
        return not self.is_grid and self.study is not None and not self.study.upfront

    @property
    def cutting(self) -> Study | None:
        """What cuts runs short by their curves."""
        return self.study if self.study and self.study.cuts else None

    @property
    def prunes(self) -> bool:
        """Whether runs are cut short, or pause."""
        return self.cutting is not None or self.halving is not None or self.judging is not None


def strategy_for(plan: Plan) -> Strategy:
    """Return the strategy that a sweep's sampler and pruner are.

    Raises:
        UserError: The sampler or the pruner cannot be built, or the sampler cannot search this space.
    """
    grid = is_grid(plan)
    asked = plan.values["pruner"]
    halving: Asha | None = build(asked) if is_a(asked["_target_"], ASHA) else None
    judging: Diagnosis | None = build(asked) if is_a(asked["_target_"], DIAGNOSIS) else None
    if judging:
        _refuse_to_judge(judging, plan)
    pruner = None if halving or judging or is_a(asked["_target_"], NO_PRUNER) else asked
    if grid and pruner is None:  # neither draws nor compares: Optuna is not loaded
        return Strategy(grid, None, halving, judging)
    study = Study(
        plan.axes,
        plan.choices,
        None if grid else plan.values["sampler"],
        pruner,
        mode=plan.values["mode"],
        seed=plan.settings["seed"],
        max_epochs=int(plan.values["trainer"]["max_epochs"] or 1),
    )
    return Strategy(grid, study, halving, judging)


def _refuse_to_judge(rule: Diagnosis, plan: Plan) -> None:
    """Refuse what would stop nothing: findings that there are not, and runs whose epochs nobody knows."""
    problems = [Problem(f"pruner.findings=[{name}]", "There is no such finding.", did_you_mean(name, RULE_NAMES))
                for name in rule.findings if name not in RULE_NAMES]  # fmt: skip
    epochs = plan.values["trainer"].get("max_epochs")
    if not isinstance(epochs, int) or epochs < 1:
        problems.append(Problem("pruner=diagnosis", "It has to know how many are left.", "Set trainer.max_epochs."))
    if problems:
        raise UserError(problems)


def is_grid(plan: Plan) -> bool:
    """Tell whether every combination is trained, before anything is built."""
    return is_a(plan.values["sampler"]["_target_"], GRID)


def is_a(path: str, base: str) -> bool:
    """Tell whether a target is a class, or a subclass of it, by whatever path either is named."""
    target, parent = find(path), find(base)
    return (
        target is not None
        and parent is not None
        and any(ancestor.path == parent.path for ancestor in target.ancestry())
    )
