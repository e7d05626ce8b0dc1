"""NL004: too few blocks to tell a difference from chance."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, Severity, listed
from normlab.stats.data.pairing import paired_table
from normlab.stats.inference.sequential import EXPLORATORY_BELOW, sequential_layouts
from normlab.text import count

CODE = "NL004"
TITLE = "Enough blocks"


def check_few_blocks(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """The blocks that the weakest comparison of each setting rests on, against 5.

    Arms that an earlier look dropped are not waited for.

    One block has no interval at all (an error); below five, even the smallest exact p-value is
    above .05, and the verdict is exploratory (a warning).
    """
    tables = []
    for layout, race in sequential_layouts(plan, runs):
        table = paired_table(layout, plan.analysis.metric)
        table = table.only([arm for arm in table.arms if arm not in race.dropped])
        if len(table.measured_arms()) >= 2:
            tables.append(table)
    if not tables:
        message = "no setting has two arms with results yet"
        return Check(CODE, TITLE, "not applicable", "warning", message)
    blocks = {str(table.setting): table.smallest_common_blocks() for table in tables}
    few = [f"{name}: {count(n, 'block')}" for name, n in blocks.items() if n < EXPLORATORY_BELOW]
    if not few:
        message = f"every comparison rests on at least {min(blocks.values())} blocks"
        return Check(CODE, TITLE, "passed", "warning", message)
    severity: Severity = "error" if min(blocks.values()) < 2 else "warning"
    message = (
        f"{listed(few)}. Below {EXPLORATORY_BELOW} blocks a verdict is exploratory, and one block "
        "has no interval"
    )
    return Check(CODE, TITLE, "finding", severity, message)
