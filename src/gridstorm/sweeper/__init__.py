"""A sweep: plan, search, group, launch, read back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridstorm.sweeper.multirun import planned_by, sweep
    from gridstorm.sweeper.plan import Plan

__all__ = ["Plan", "planned_by", "sweep"]


def __getattr__(name: str) -> Any:
    """Load Hydra where a sweep is planned: a worker, which finds its functions here, does without."""
    if name in ("Plan", "planned_by", "sweep"):
        from gridstorm.sweeper import multirun

        return getattr(multirun, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
