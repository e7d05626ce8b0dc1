"""NL007: copies of one image on both sides of a split."""

from __future__ import annotations

from normlab.records.data_report import DataReport
from normlab.records.plan import StudyPlan
from normlab.stats.checks.check import Check

CODE = "NL007"
TITLE = "No copies across the split"


def check_copies(plan: StudyPlan, data: DataReport | None) -> Check:
    """Whether copies were looked for, and what was done with those that cross the split.

    With `copies = "near"` mirrored, turned, zoomed and re-encoded copies stay together: those of
    judged images are taken out of training. With "exact" equal files alone are found, so a finding
    says that the split may leak.
    """
    if plan.frozen is None:
        return Check(CODE, TITLE, "not applicable", "error", "the study has not begun")
    leak = next((f for f in data.findings if f.code == "DC013"), None) if data else None
    if plan.data.copies == "exact":
        known = f" {leak.message}" if leak is not None else ""
        message = (
            "only equal files were looked for; mirrored, turned or zoomed copies may be on both "
            f"sides.{known}"
        )
        return Check(CODE, TITLE, "finding", "warning", message)
    if not plan.frozen.groups:
        message = "it is not recorded how copies were grouped"
        return Check(CODE, TITLE, "not applicable", "error", message)
    removed = " (those of judged images were taken out of training)" if leak is not None else ""
    message = f"near copies are kept on one side of every split{removed}"
    return Check(CODE, TITLE, "passed", "error", message)
