"""What a training curve says: findings with remedies, from records or from any curves."""

from gridstorm.diagnosis.diagnose import diagnose, is_hopeless
from gridstorm.diagnosis.finding import Finding
from gridstorm.diagnosis.source import curves_in, of_record
from gridstorm.diagnosis.verdict import verdicts

__all__ = ["Finding", "curves_in", "diagnose", "is_hopeless", "of_record", "verdicts"]
