"""The runs that a study's tuning takes, for estimates of cost."""

from __future__ import annotations

from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.study.tuning import in_blocks, once


def tuning_runs(plan: StudyPlan) -> list[RunSpec]:
    """All of them if no range has to be widened; none where nothing is tuned."""
    if plan.tuning is None:
        return []
    if plan.tuning.scope == "study":
        return once.tuning_runs(plan)
    return [
        spec for block in range(plan.blocks) for spec in in_blocks.block_tuning_runs(plan, block)
    ]
