"""What a training curve says: findings with remedies, from records or from any curves."""

from gridstorm.diagnosis.curves import Curves, Facts, LayerCurves
from gridstorm.diagnosis.diagnose import diagnose
from gridstorm.diagnosis.finding import HEALTHY, Finding, Remedy
from gridstorm.diagnosis.source import curves_in, of_record
from gridstorm.diagnosis.verdict import verdicts

__all__ = [
    "HEALTHY",
    "Curves",
    "Facts",
    "Finding",
    "LayerCurves",
    "Remedy",
    "curves_in",
    "diagnose",
    "of_record",
    "verdicts",
]
