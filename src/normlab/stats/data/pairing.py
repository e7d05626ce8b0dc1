"""The paired table: one metric of one setting, arms × blocks, with the status of every cell.

Arms of one block share split, initial weights, order and augmentation, so differences are taken
inside blocks. Divergence is a result and is scored as chance level; a run that has not ended, or
was never started, has no value, and its cell says why (method.md, Design 2 and 5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from normlab.records.network import is_own
from normlab.records.run import METRICS, Measures, known
from normlab.records.store import RunRecord
from normlab.stats.data.layout import CellStatus, Layout
from normlab.stats.data.metrics import LABELS, chance_level
from normlab.stats.data.setting import Setting

Part = Literal["train", "validation", "test"]
"""A part of the data; all three are measured in evaluation mode at the reported epoch."""


@dataclass(frozen=True, eq=False)
class PairedTable:
    """The values of one metric in one setting."""

    setting: Setting
    metric: str
    part: Part
    arms: tuple[str, ...]
    blocks: tuple[int, ...]
    values: Float[np.ndarray, "arms blocks"]
    """float64, read-only; nan where a cell has no value."""
    status: tuple[tuple[CellStatus, ...], ...]
    """The status of every cell, in the shape of `values`."""

    def row(self, arm: str) -> Float[np.ndarray, " blocks"]:
        """The values of one arm over the blocks."""
        row: Float[np.ndarray, " blocks"] = self.values[self.arms.index(arm)]
        return row

    def differences(self, arm: str, other: str) -> Float[np.ndarray, " pairs"]:
        """Values of `arm` − values of `other` in the blocks where both have one."""
        difference: Float[np.ndarray, " blocks"] = self.row(arm) - self.row(other)
        present: Float[np.ndarray, " pairs"] = difference[~np.isnan(difference)]
        return present

    def first(self, blocks: int) -> PairedTable:
        """The table of the first so many blocks."""
        return replace(
            self,
            blocks=self.blocks[:blocks],
            values=self.values[:, :blocks],
            status=tuple(row[:blocks] for row in self.status),
        )

    def only(self, arms: Sequence[str]) -> PairedTable:
        """The table of these arms, in its own order."""
        rows = [index for index, arm in enumerate(self.arms) if arm in arms]
        return replace(
            self,
            arms=tuple(self.arms[row] for row in rows),
            values=self.values[rows],
            status=tuple(self.status[row] for row in rows),
        )

    def measured_arms(self) -> tuple[str, ...]:
        """The arms that have a value in at least one block."""
        return tuple(arm for arm in self.arms if not np.isnan(self.row(arm)).all())

    def smallest_common_blocks(self) -> int:
        """The blocks that the weakest pair of measured arms has in common.

        With one measured arm these are its own blocks, with none it is 0.
        """
        present = (~np.isnan(self.values)).astype(int)
        present = present[present.any(axis=1)]
        return int((present @ present.T).min()) if present.size else 0

    def count(self, arm: str, status: CellStatus) -> int:
        """The number of blocks in which an arm has a status."""
        return self.status[self.arms.index(arm)].count(status)

    def cells_without_value(self) -> tuple[tuple[str, int, CellStatus], ...]:
        """Arm, block and status of every cell that has no value."""
        return tuple(
            (self.arms[row], self.blocks[column], self.status[row][column])
            for row, column in zip(*np.nonzero(np.isnan(self.values)), strict=True)
        )


def paired_table(layout: Layout, metric: str, part: Part = "test") -> PairedTable:
    """The table of one setting.

    Raises:
        UnknownNameError: a metric that no run measures.
    """
    if not is_own(metric):
        known("metric", metric, METRICS)
    values = np.array(
        [[score(layout.record(a, b), metric, part) for b in layout.blocks] for a in layout.arms],
        dtype=np.float64,
    ).reshape(len(layout.arms), len(layout.blocks))
    values.setflags(write=False)
    status = tuple(tuple(layout.status(a, b) for b in layout.blocks) for a in layout.arms)
    return PairedTable(layout.setting, metric, part, layout.arms, layout.blocks, values, status)


def score(record: RunRecord | None, metric: str, part: Part = "test") -> float:
    """The value of one run; nan where it has none.

    A diverged run scores chance level. So does a run that ended well but whose metric is not a
    finite number (a loss that overflows on the test part): leaving it out would favour the
    arm that failed.
    """
    if record is None or record.outcome is None or not record.outcome.is_final:
        return math.nan
    chance = chance_level(metric, len(record.spec.data.classes))
    if record.outcome.status == "diverged":
        return chance
    if is_own(metric):  # the training alone knows its figures, those of held-out data
        scores = record.outcome.scores or {}
        return scores.get(LABELS[metric], math.nan) if part == "test" else math.nan
    measures: Measures | None = getattr(record.outcome, part)
    if measures is None:
        return math.nan
    value: float = getattr(measures, metric)
    return value if math.isfinite(value) else chance
