"""NL003: a best value at the edge of the range that was searched."""

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


@check("NL003", "Best values lie inside the range that was searched", severity="warning")
def edge_of_range(study: StudyToCheck) -> Result:
    """The chosen value of each arm against the lowest and highest that it tried.

    At the edge a better value may lie beyond, and the arm was not given its best.
    """
    if study.plan.tuning is None:
        return not_applicable("nothing is tuned")
    if study.tuning_results is None:
        return not_applicable("the tuning has not ended yet")
    faults = [
        f"{entry.setting}: {entry.arm} is best at {name.replace('_', ' ')} {entry.chosen[name]:g}"
        + ("" if entry.block is None else f" in block {entry.block + 1}")
        for entry in study.tuning_results.arms
        for name in entry.at_edge
    ]
    ranges = ", ".join(
        f"{name.replace('_', ' ')} {low:g} to {high:g}"
        for name, (low, high) in study.tuning_results.ranges.items()
    )
    if faults:
        return finding(f"searched {ranges}. {listed(faults)}")
    return passed(f"searched {ranges}")
