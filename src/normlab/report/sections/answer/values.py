"""Each block's value joined across the arms, as plain data; the upper half of the answer plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.report.charts.colours import Stroke
from normlab.report.sections.base import BLOCKS_SHOWN
from normlab.stats.data.metrics import LABELS, format_value, is_share
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.text import count

MANY = 6
"""Blocks up to which a line joins the runs of each."""
CAPTION = (
    "Every dot is one run; a thin line joins the runs of one block, the upright bar is the mean. "
    "An arrow points to runs beyond the axis; a number beside it is a mean that lies there."
)
MANY_CAPTION = (
    "Every dot is one run, the upright bar the mean, the pale bar the mean ± one standard "
    "deviation. An arrow points to runs beyond the axis; a number beside it is a mean that lies "
    "there."
)
CROWDED_CAPTION = (
    "The upright bar is the mean of an arm's runs, the pale bar the mean ± one standard deviation. "
    "An arrow points to runs beyond the axis; a number beside it is a mean that lies there."
)


@dataclass(frozen=True)
class ValueRow:
    """One arm, in printed units (percent, or nats)."""

    arm: str
    mean: float
    mean_text: str
    blocks: Mapping[int, float]
    """By block, counted from 1."""


@dataclass(frozen=True, eq=False)
class ValueFigure:
    """The value of every block in every arm."""

    slug: str
    title: str
    axis_title: str
    limits: tuple[float, float]
    """Limits of the axis; an arm that lies beyond is an arrow at the edge."""
    rows: tuple[ValueRow, ...]
    strokes: dict[str, Stroke]
    description: str

    @property
    def many(self) -> bool:
        """Whether lines from arm to arm would be a zigzag that nobody can read."""
        return self.crowded or (len(self.rows) > 2 and self._most > MANY)

    @property
    def crowded(self) -> bool:
        """Whether the dots of all runs would be a bar of their own."""
        return self._most > BLOCKS_SHOWN

    @property
    def caption(self) -> str:
        """What the marks are."""
        if self.crowded:
            return CROWDED_CAPTION
        return MANY_CAPTION if self.many else CAPTION

    @property
    def _most(self) -> int:
        return max(len(row.blocks) for row in self.rows)


def value_figure(setting: SettingAnalysis, strokes: Mapping[str, Stroke]) -> ValueFigure | None:
    """The values of the primary metric; None where no run has one."""
    metric = setting.verdict.metric
    scale = 100.0 if is_share(metric) else 1.0
    rows = []
    for arm in setting.table.measured_arms():
        values = setting.table.row(arm)
        blocks = {
            block + 1: scale * float(value)
            for block, value in zip(setting.table.blocks, values, strict=True)
            if not math.isnan(value)
        }
        mean = statistics.fmean(blocks.values())
        rows.append(ValueRow(arm, mean, format_value(metric, mean / scale), blocks))
    if not rows:
        return None
    unit = " (%)" if is_share(metric) else ""
    spoken = "; ".join(f"{row.arm} {row.mean_text}" for row in rows)
    return ValueFigure(
        slug=f"values-{setting.setting.slug}",
        title=f"{LABELS[metric].capitalize()}: {setting.setting.label}",
        axis_title=f"{LABELS[metric]}{unit}",
        limits=value_limits(rows, scale * setting.verdict.margin),
        rows=tuple(rows),
        strokes={row.arm: strokes[row.arm] for row in rows},
        description=(
            f"Mean {LABELS[metric]}{unit} over {count(len(setting.table.blocks), 'block')}, with "
            f"each block's value joined across the arms: {spoken}."
        ),
    )


def value_limits(rows: Sequence[ValueRow], margin: float) -> tuple[float, float]:
    """Limits around the arms that are near each other.

    A run further from the middle run than six times the median distance (and three times the band
    of equality) does not stretch the axis: one that failed would push all others into one line.
    """
    values = [value for row in rows for value in row.blocks.values()]
    centre = statistics.median(values)
    limit = max(3 * margin, 6 * statistics.median(abs(value - centre) for value in values))
    shown = [value for value in values if abs(value - centre) <= limit]
    low, high = min([*shown, centre - margin]), max([*shown, centre + margin])
    padding = 0.06 * (high - low)
    return (low - padding, high + padding)
