"""NL014: runs that diverged, and cells of the design that have no result."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check, listed
from normlab.stats.data.pairing import paired_table
from normlab.stats.inference.sequential import sequential_layouts

CODE = "NL014"
TITLE = "Every planned run has a result"


def check_missing_runs(plan: StudyPlan, runs: Sequence[RunRecord]) -> Check:
    """Diverged runs count as chance level; cells without a result leave their pairs out."""
    tables = [
        paired_table(layout, plan.analysis.metric) for layout, _ in sequential_layouts(plan, runs)
    ]
    several = len(tables) > 1
    diverged = []
    absent = []
    for table in tables:
        where = f" ({table.setting})" if several else ""
        for arm, row in zip(table.arms, table.status, strict=True):
            for block, status in zip(table.blocks, row, strict=True):
                if status == "diverged":
                    diverged.append(f"{arm} in block {block}{where}")
        for arm, block, status in table.cells_without_value():
            if status == "not needed":
                continue
            word = status.replace("_", " ")
            absent.append(f"{arm} in block {block} is {word}{where}")
    skipped = sum(row.count("not needed") for table in tables for row in table.status)
    cells = sum(table.values.size for table in tables) - skipped
    parts = []
    if diverged:
        parts.append(f"{len(diverged)} diverged, counted as guessing: {listed(diverged)}")
    if absent:
        parts.append(f"{len(absent)} of {cells} without a result: {listed(absent)}")
    if parts:
        return Check(CODE, TITLE, "finding", "warning", ". ".join(parts))
    message = f"all {cells} runs have ended, none diverged"
    if skipped:
        message += f"; {skipped} were not needed after an earlier look"
    return Check(CODE, TITLE, "passed", "warning", message)
