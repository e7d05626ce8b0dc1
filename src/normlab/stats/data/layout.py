"""Which record belongs to which cell of the design: setting × arm × block.

Every cell has a status, whether a run stands in it or not: what is absent is named, not skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from normlab.records.plan import StudyPlan
from normlab.records.run import Status
from normlab.records.store import RunRecord
from normlab.stats.data.setting import Setting, arms_of, setting_finder

CellStatus = Status | Literal["unfinished", "missing", "ambiguous", "not needed"]
"""How a run ended, or: has not ended, was never started, has several rival records, was skipped by
an earlier look."""

CELL_STATUSES: tuple[CellStatus, ...] = (
    "finished",
    "stopped_early",
    "diverged",
    "out_of_memory",
    "failed",
    "interrupted",
    "unfinished",
    "missing",
    "ambiguous",
    "not needed",
)


@dataclass(frozen=True, eq=False)
class Layout:
    """The records of one setting, arranged by arm and block."""

    setting: Setting
    arms: tuple[str, ...]
    """In the order of the plan."""
    blocks: tuple[int, ...]
    """Those of the plan and those that the records know, ascending."""
    records: Mapping[tuple[str, int], tuple[RunRecord, ...]]
    """All records of a cell; more than one when two plans wrote into one folder."""
    skipped: frozenset[tuple[str, int]] = frozenset()
    """Cells that an earlier look made unnecessary."""

    def record(self, arm: str, block: int) -> RunRecord | None:
        """The one record that counts for a cell, or None.

        A record that is final is preferred over those that are not, and among those the one that
        got furthest. Of two rival final records neither counts: choosing would be ours, and
        averaging would mix two specifications.
        """
        return self._counting.get((arm, block))

    @cached_property
    def _counting(self) -> dict[tuple[str, int], RunRecord | None]:
        """Worked out once: each is asked for some fifty times."""
        return {cell: _counts(candidates) for cell, candidates in self.records.items()}

    def status(self, arm: str, block: int) -> CellStatus:
        """What became of a cell."""
        record = self.record(arm, block)
        if record is None:
            if self.records.get((arm, block)):
                return "ambiguous"
            return "not needed" if (arm, block) in self.skipped else "missing"
        return record.outcome.status if record.outcome is not None else "unfinished"


def first_blocks(layout: Layout, blocks: int) -> Layout:
    """The layout of the first so many blocks."""
    return replace(layout, blocks=layout.blocks[:blocks])


def _counts(candidates: Sequence[RunRecord]) -> RunRecord | None:
    final = [record for record in candidates if is_final(record)]
    if final:
        return final[0] if len(final) == 1 else None
    return max(candidates, key=lambda record: len(record.rows), default=None)


def is_final(record: RunRecord) -> bool:
    """Whether running this record's spec again would change nothing."""
    return record.outcome is not None and record.outcome.is_final


def arrange(plan: StudyPlan, runs: Sequence[RunRecord]) -> tuple[Layout, ...]:
    """One layout a setting, in the order of the plan."""
    blocks = tuple(sorted({*range(plan.blocks), *(run.spec.block for run in runs)}))
    setting_of = setting_finder(plan)
    cells: dict[Setting, dict[tuple[str, int], list[RunRecord]]] = defaultdict(dict)
    for run in runs:
        cell = (run.spec.arm, run.spec.block)
        cells[setting_of(run.spec)].setdefault(cell, []).append(run)
    return tuple(
        Layout(setting, arms, blocks, {cell: tuple(r) for cell, r in cells[setting].items()})
        for setting, arms in arms_of(plan, (run.spec for run in runs)).items()
    )
