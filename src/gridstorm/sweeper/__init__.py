"""A sweep: plan, search, group, launch, read back."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridstorm.sweeper.multirun import sweep

__all__ = ["sweep"]


def __getattr__(name: str) -> Any:
    """Load Hydra where a sweep is planned: a worker, which finds its functions here, does without."""
    if name == "sweep":
        from gridstorm.sweeper.multirun import sweep

        return sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
