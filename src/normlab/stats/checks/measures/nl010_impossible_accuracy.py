"""NL010: an accuracy that no count of images can give."""

from __future__ import annotations

from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

TOLERANCE = 1e-3
"""The tolerance, in images: a share in float32 is off by less for up to 10,000 images."""


@check("NL010", "Every accuracy is a count of images", severity="error")
def impossible_accuracy(study: StudyToCheck) -> Result:
    """Accuracy × images is a whole number (GRIM, Brown & Heathers 2017), in every part and run."""
    compared = 0
    faults = []
    for run in study.runs:
        if run.outcome is None:
            continue
        for part in ("train", "validation", "test"):
            measures = getattr(run.outcome, part)
            if measures is None:
                continue
            compared += 1
            count = measures.accuracy * measures.images
            tolerance = max(TOLERANCE, measures.images * 1e-7)
            if measures.images < 1 or abs(count - round(count)) > tolerance:
                faults.append(
                    f"{run.spec.arm}, block {run.spec.block + 1}, {part}: "
                    f"{measures.accuracy:.6f} of {measures.images} images is {count:.3f}"
                )
    if not compared:
        return not_applicable("no run has been measured yet")
    if faults:
        return finding(listed(faults))
    return passed(f"in all {compared} figures")
