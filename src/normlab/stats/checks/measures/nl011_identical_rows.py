"""NL011: different arms with identical rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from normlab.records.run import METRICS, NormSite, Outcome
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


@check("NL011", "Different arms give different rows", severity="error")
def identical_rows(study: StudyToCheck) -> Result:
    """All four metrics of the test part equal to the last digit, in one block.

    Two norms that do different things do not give the same loss to the last digit; equal rows mean
    that one arm was trained twice or copied. Left out are pairs that should be equal: the same
    norm under two names (an A/A study), and two layers that compute the same of the same values,
    as bn and the framework's batch normalization, the sanity check.
    """
    compared = 0
    same = []
    for layout in arrange(study.plan, study.runs):
        for block in layout.blocks:
            records = [layout.record(arm, block) for arm in layout.arms]
            measured = [r for r in records if r is not None and row_of(r.outcome) is not None]
            for first, second in itertools.combinations(measured, 2):
                if not _comparable(first, second):
                    continue
                compared += 1
                if row_of(first.outcome) == row_of(second.outcome):
                    same.append(
                        f"{first.spec.arm} and {second.spec.arm} in block {block + 1} "
                        f"({layout.setting})"
                    )
    if not compared:
        return not_applicable(
            "no block has results of two arms that are known to do different things"
        )
    if same:
        return finding(f"identical: {listed(same)}")
    return passed(f"in all {compared} pairs")


def row_of(outcome: Outcome | None) -> tuple[float, ...] | None:
    """The four figures of the test part, if the run was evaluated."""
    if outcome is None or outcome.test is None:
        return None
    return tuple(getattr(outcome.test, metric) for metric in METRICS)


def _comparable(first: RunRecord, second: RunRecord) -> bool:
    """Whether the two do different things, as far as their records say what they do."""
    if first.spec.norm == second.spec.norm:  # under two names, or with another optimizer and so on
        return first.spec.model_copy(update={"arm": second.spec.arm}) != second.spec
    sites = [run.outcome.norm_sites if run.outcome is not None else None for run in (first, second)]
    if not sites[0] or not sites[1]:  # older records do not say
        return False
    return _computed(sites[0]) != _computed(sites[1]) or not all(s.standardizes for s in sites[0])


def _computed(sites: Sequence[NormSite]) -> list[tuple[object, ...]]:
    return [(site.layer, site.over, site.values, site.standardizes) for site in sites]
