"""NL016: relative times that change from block to block."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, listed
from normlab.stats.data.layout import arrange
from normlab.stats.summary.timing import relative_times, speeds

CODE = "NL016"
TITLE = "Times are steady"
STEADY = 1.5
"""The largest relative time of an arm over its smallest that still counts as steady."""


def check_unsteady_times(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """Each arm's time relative to the reference's, over the blocks.

    Blocks may run on different machines; what an arm costs *relative* to another in its block
    changes little with the machine, and much if something else ran on it for a while.
    """
    reference = plan.analysis.reference
    compared, unsteady = 0, []
    for layout in arrange(plan, runs):
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
        message = "no arm was timed beside the reference in two blocks"
        return Check(CODE, TITLE, "not applicable", "note", message)
    if unsteady:
        return Check(CODE, TITLE, "finding", "note", listed(unsteady))
    return Check(CODE, TITLE, "passed", "note", f"within a factor of {STEADY} over the blocks")
