"""NL007: copies of one image on both sides of a split."""

from __future__ import annotations

from normlab.stats.checks.base import Result, StudyToCheck, check, finding, not_applicable, passed


@check("NL007", "No copies across the split", severity="error")
def duplicates_across_split(study: StudyToCheck) -> Result:
    """Whether copies were looked for, and what was done with those that cross the split.

    Mirrored, turned, zoomed and re-encoded copies stay together: those of judged images are taken
    out of training. With `copies = "exact"` equal files alone are found, so a finding
    says that the split may leak.
    """
    if study.plan.frozen is None:
        return not_applicable("the study has not begun")
    leak = next((f for f in study.data.findings if f.code == "DC013"), None) if study.data else None
    if study.plan.data.copies == "exact":
        known = f" {leak.message}" if leak is not None else ""
        message = (
            "only equal files were looked for; mirrored, turned or zoomed copies may be on both "
            f"sides.{known}"
        )
        return finding(message, "warning")
    if not study.plan.frozen.groups:
        return not_applicable("it is not recorded how copies were grouped")
    removed = " (those of judged images were taken out of training)" if leak is not None else ""
    return passed(f"near copies are kept on one side of every split{removed}")
