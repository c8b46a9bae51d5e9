"""What a training curve says: findings with remedies, from records or from any curves."""

from gridstorm.diagnosis.diagnose import RULE_NAMES, diagnose
from gridstorm.diagnosis.finding import Finding
from gridstorm.diagnosis.source import curves_in, of_record
from gridstorm.diagnosis.verdict import beyond_help, verdicts

__all__ = ["RULE_NAMES", "Finding", "beyond_help", "curves_in", "diagnose", "of_record", "verdicts"]
