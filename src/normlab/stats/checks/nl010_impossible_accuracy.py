"""NL010: an accuracy that no count of images can give."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, listed

CODE = "NL010"
TITLE = "Every accuracy is a count of images"
TOLERANCE = 1e-3
"""Of an image: a share that was rounded to float32 is off by less for up to 10,000 images."""


def check_impossible_accuracy(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """Accuracy × images is a whole number (GRIM, Brown & Heathers 2017), in every part and run."""
    compared = 0
    faults = []
    for run in runs:
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
                    f"{run.spec.arm}, block {run.spec.block}, {part}: {measures.accuracy:.6f} of "
                    f"{measures.images} images is {count:.3f}"
                )
    if not compared:
        return Check(CODE, TITLE, "not applicable", "error", "no run has been measured yet")
    if faults:
        return Check(CODE, TITLE, "finding", "error", listed(faults))
    return Check(CODE, TITLE, "passed", "error", f"in all {compared} figures")
