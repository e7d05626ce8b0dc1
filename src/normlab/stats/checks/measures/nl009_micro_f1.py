"""NL009: micro F1 that differs from accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.records.run import Measures
from normlab.records.store import RunRecord
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

TOLERANCE = 1e-6
"""Ten times the rounding of a share that was computed in float32."""


@check("NL009", "Micro F1 equals accuracy", severity="error")
def micro_f1(study: StudyToCheck) -> Result:
    """With one label an image each mistake is one false positive and one false negative.

    So micro precision = micro recall = micro F1 = accuracy; a difference is a defect of the code
    that measured, or a number copied wrongly.
    """
    compared = 0
    faults = []
    for run in study.runs:
        for part, measures in _all_measures(run):
            compared += 1
            if abs(measures.micro_f1 - measures.accuracy) > TOLERANCE:
                faults.append(
                    f"{run.spec.arm}, block {run.spec.block + 1}, {part}: micro F1 "
                    f"{measures.micro_f1:.4f}, accuracy {measures.accuracy:.4f}"
                )
    if not compared:
        return not_applicable("no run has been measured yet")
    if faults:
        return finding(listed(faults))
    return passed(f"in all {compared} measurements")


def _all_measures(run: RunRecord) -> Iterator[tuple[str, Measures]]:
    for row in run.rows:
        yield f"epoch {row.epoch}, train", row.train
        yield f"epoch {row.epoch}, validation", row.validation
    if run.outcome is not None:
        for part in ("train", "validation", "test"):
            measures = getattr(run.outcome, part)
            if measures is not None:
                yield f"outcome, {part}", measures
