"""What the curves of a run say: written into its record when it ends, and said."""

import json
from collections.abc import Sequence
from typing import Any

from gridstorm.diagnosis import diagnose, of_record
from gridstorm.record import FINDINGS, FORMAT, Result, RunRecord, markdown

MOST = 3  # findings that are said


def judged(record: RunRecord, result: Result) -> list[str]:
    """Write what the curves say to findings.json and for TensorBoard, and return the names of the findings.

    Args:
        record: Of a run whose curves are whole.
        result: What came out.
    """
    curves = of_record(record, result)
    findings = diagnose(curves) if curves else []
    content = {"format": FORMAT, "findings": [finding.content() for finding in findings]}
    record.write(FINDINGS, json.dumps(content, indent=1))
    record.events.text("verdict", markdown("\n".join(map(str, findings))))
    return [finding.name for finding in findings]


def verdict(record: RunRecord) -> list[str]:
    """Return what findings.json says, a line for each finding, the gravest first; empty where it is not there."""
    return [f"{one['name']}: {one['evidence']}{one['advice']}" for one in findings_of(record)[:MOST]]


def findings_of(record: RunRecord) -> Sequence[dict[str, Any]]:
    """Return the findings of a run, the gravest first; none where their file is not there, or damaged."""
    file = record.directory / FINDINGS
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["findings"] if file.is_file() else []
        return found if all({"name", "evidence", "advice", "remedies", "step"} <= {*one} for one in found) else []
    except (OSError, ValueError, KeyError, TypeError):  # it is a view: the curves are there
        return []
