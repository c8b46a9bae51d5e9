"""A sweep: plan, search, group, launch, read back."""

from gridstorm.sweeper.sweep import sweep

__all__ = ["sweep"]
