"""NL014: runs that diverged, and cells of the design that have no result."""

from __future__ import annotations

from normlab.stats.checks.base import Result, StudyToCheck, check, finding, listed, passed
from normlab.stats.data.pairing import paired_table


@check("NL014", "Every planned run has a result", severity="warning")
def missing_runs(study: StudyToCheck) -> Result:
    """Diverged runs count as chance level; cells without a result leave their pairs out."""
    tables = [paired_table(layout, study.plan.analysis.metric) for layout, _ in study.settings]
    several = len(tables) > 1
    diverged = []
    absent = []
    for table in tables:
        setting = f" ({table.setting})" if several else ""
        for arm, row in zip(table.arms, table.status, strict=True):
            for block, status in zip(table.blocks, row, strict=True):
                if status == "diverged":
                    diverged.append(f"{arm} in block {block + 1}{setting}")
        for arm, block, status in table.cells_without_value():
            if status == "not needed":
                continue
            word = status.replace("_", " ")
            absent.append(f"{arm} in block {block + 1} is {word}{setting}")
    skipped = sum(row.count("not needed") for table in tables for row in table.status)
    cells = sum(table.values.size for table in tables) - skipped
    parts = []
    if diverged:
        parts.append(f"{len(diverged)} diverged, counted as guessing: {listed(diverged)}")
    if absent:
        parts.append(f"{len(absent)} of {cells} without a result: {listed(absent)}")
    if parts:
        return finding(". ".join(parts))
    message = f"all {cells} runs have ended, none diverged"
    if skipped:
        message += f"; {skipped} were not needed after an earlier look"
    return passed(message)
