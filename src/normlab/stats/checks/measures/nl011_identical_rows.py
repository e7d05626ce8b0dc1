"""NL011: different arms with identical rows."""

from __future__ import annotations

import itertools

from normlab.records.run import METRICS, Outcome
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
from normlab.stats.data.layout import arrange

_SAME_BY_DESIGN = frozenset({"bn", "torch-bn"})


@check("NL011", "Different arms give different rows", severity="error")
def identical_rows(study: StudyToCheck) -> Result:
    """All four metrics of the test part equal to the last digit, in one block.

    Two norms that do different things do not give the same loss to the last digit; equal rows mean
    that one arm was trained twice or copied. Left out are pairs that should be equal: the same
    norm under two names (an A/A study), and bn beside torch-bn, the sanity check.
    """
    compared = 0
    same = []
    for layout in arrange(study.plan, study.runs):
        for block in layout.blocks:
            records = [layout.record(arm, block) for arm in layout.arms]
            measured = [r for r in records if r is not None and row_of(r.outcome) is not None]
            for first, second in itertools.combinations(measured, 2):
                if _equal_by_design(first, second):
                    continue
                compared += 1
                if row_of(first.outcome) == row_of(second.outcome):
                    same.append(
                        f"{first.spec.arm} and {second.spec.arm} in block {block} "
                        f"({layout.setting})"
                    )
    if not compared:
        return not_applicable("no two different arms have results in one block")
    if same:
        return finding(f"identical: {listed(same)}")
    return passed(f"in all {compared} pairs")


def row_of(outcome: Outcome | None) -> tuple[float, ...] | None:
    """The four figures of the test part, if the run was evaluated."""
    if outcome is None or outcome.test is None:
        return None
    return tuple(getattr(outcome.test, metric) for metric in METRICS)


def _equal_by_design(first: RunRecord, second: RunRecord) -> bool:
    norms = {first.spec.norm, second.spec.norm}
    return len(norms) == 1 or {norm.split(":")[0] for norm in norms} == _SAME_BY_DESIGN
