"""NL003: a best value at the edge of the range that was searched."""

from __future__ import annotations

from normlab.records.plan import StudyPlan
from normlab.records.tuning_results import TuningResults
from normlab.stats.checks.check import Check, listed

CODE = "NL003"
TITLE = "Best values lie inside the range that was searched"


def check_edge_of_range(plan: StudyPlan, tuning_results: TuningResults | None) -> Check:
    """The chosen value of each arm against the lowest and highest that it tried.

    At the edge a better value may lie beyond, and the arm was not given its best.
    """
    if plan.tuning is None:
        return Check(CODE, TITLE, "not applicable", "warning", "nothing is tuned")
    if tuning_results is None:
        return Check(CODE, TITLE, "not applicable", "warning", "the tuning has not ended yet")
    faults = [
        f"{entry.setting}: {entry.arm} is best at {name.replace('_', ' ')} {entry.chosen[name]:g}"
        for entry in tuning_results.arms
        for name in entry.at_edge
    ]
    ranges = ", ".join(
        f"{name.replace('_', ' ')} {low:g} to {high:g}"
        for name, (low, high) in tuning_results.ranges.items()
    )
    if faults:
        return Check(CODE, TITLE, "finding", "warning", f"searched {ranges}. {listed(faults)}")
    return Check(CODE, TITLE, "passed", "warning", f"searched {ranges}")
