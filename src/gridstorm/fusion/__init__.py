"""Many runs as one stacked model."""

from gridstorm.fusion.probe import fusible, needs
from gridstorm.fusion.training import train_together

__all__ = ["fusible", "needs", "train_together"]
