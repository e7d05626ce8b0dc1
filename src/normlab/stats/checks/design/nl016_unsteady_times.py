"""NL016: relative times that change from block to block."""

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
from normlab.stats.data.layout import arrange
from normlab.stats.summary.timing import relative_times, speeds

STEADY = 1.5
"""The largest relative time of an arm over its smallest that still counts as steady."""


@check("NL016", "Times are steady", severity="note")
def unsteady_times(study: StudyToCheck) -> Result:
    """Each arm's time relative to the reference's, over the blocks.

    Blocks may run on different machines; what an arm costs *relative* to another in its block
    changes little with the machine, and much if something else ran on it for a while.
    """
    reference = study.plan.analysis.reference
    compared, unsteady = 0, []
    for layout in arrange(study.plan, study.runs):
        base = speeds(layout, reference)
        spans = []
        for arm in layout.arms:
            found = relative_times(speeds(layout, arm), base).values()
            if arm == reference or len(found) < 2:
                continue
            compared += 1
            if max(found) > STEADY * min(found):
                spans.append(f"{arm} {min(found):.2f} to {max(found):.2f}×")
        if spans:
            unsteady.append(f"{layout.setting}, time against {reference}: {', '.join(spans)}")
    if not compared:
        return not_applicable("no arm was timed beside the reference in two blocks")
    if unsteady:
        return finding(listed(unsteady))
    return passed(f"within a factor of {STEADY} over the blocks")
