"""NL004: too few blocks to tell a difference from luck."""

from __future__ import annotations

from normlab.records.checks import Severity
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)
from normlab.stats.data.pairing import paired_table
from normlab.stats.inference.sequential import EXPLORATORY_BELOW
from normlab.text import count


@check("NL004", "Enough blocks", severity="warning")
def few_blocks(study: StudyToCheck) -> Result:
    """The blocks that the weakest comparison of each setting rests on, against 5.

    Arms that an earlier look dropped are not waited for.

    One block has no interval at all (an error); below five, even the smallest exact p-value is
    above .05, and the verdict is exploratory (a warning).
    """
    tables = []
    for layout, decisions in study.settings:
        table = paired_table(layout, study.plan.analysis.metric)
        table = table.only([arm for arm in table.arms if arm not in decisions.dropped])
        if len(table.measured_arms()) >= 2:
            tables.append(table)
    if not tables:
        return not_applicable("no setting has two arms with results yet")
    blocks = {str(table.setting): table.smallest_common_blocks() for table in tables}
    few = [f"{name}: {count(n, 'block')}" for name, n in blocks.items() if n < EXPLORATORY_BELOW]
    if not few:
        return passed(f"every comparison rests on at least {min(blocks.values())} blocks")
    severity: Severity = "error" if min(blocks.values()) < 2 else "warning"
    message = (
        f"{listed(few)}. Below {EXPLORATORY_BELOW} blocks a verdict is exploratory, and one block "
        "has no interval"
    )
    return finding(message, severity)
