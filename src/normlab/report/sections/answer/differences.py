"""Each arm's difference to a reference arm, as plain data; the lower half of the answer plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.report.charts.colours import Stroke
from normlab.stats.data.metrics import LABELS, format_difference, is_share, unit
from normlab.stats.inference.comparison import against
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.text import count


@dataclass(frozen=True)
class DifferenceRow:
    """An arm against the reference, in printed units (points, or nats)."""

    arm: str
    mean: float
    low: float | None
    high: float | None
    mean_text: str
    decision: str
    blocks: Mapping[int, float]
    """The difference in every block that both arms have, counted from 1."""


@dataclass(frozen=True, eq=False)
class DifferenceFigure:
    """Each arm's difference to the reference, and the band of practical equality."""

    slug: str
    title: str
    axis_title: str
    margin: float
    """Half the width of the band, in printed units."""
    limits: tuple[float, float]
    """Limits of the axis; what lies beyond is drawn as an arrow at the edge."""
    rows: tuple[DifferenceRow, ...]
    strokes: dict[str, Stroke]
    description: str
    """What the figure shows, in words, for who cannot see it."""


def difference_figure(
    setting: SettingAnalysis, strokes: Mapping[str, Stroke], reference: str | None = None
) -> DifferenceFigure | None:
    """The differences to the plan's reference, or to another arm.

    None where nothing can be compared with it.
    """
    verdict = setting.verdict
    reference = reference or verdict.reference
    comparisons = [
        c
        for c in against(verdict.comparisons, verdict.arms, reference)
        if c.difference.mean is not None
    ]
    if reference is None or not comparisons:
        return None
    scale = 100.0 if is_share(verdict.metric) else 1.0
    rows = []
    for comparison in comparisons:
        difference = comparison.difference
        assert difference.mean is not None
        interval = comparison.interval
        values = setting.table.row(comparison.arm) - setting.table.row(reference)
        rows.append(
            DifferenceRow(
                arm=comparison.arm,
                mean=scale * difference.mean,
                low=None if interval is None else scale * interval.low,
                high=None if interval is None else scale * interval.high,
                mean_text=format_difference(verdict.metric, difference.mean),
                decision=comparison.decision,
                blocks={
                    block + 1: scale * float(value)
                    for block, value in zip(setting.table.blocks, values, strict=True)
                    if not math.isnan(value)
                },
            )
        )
    label, measure = LABELS[verdict.metric], unit(verdict.metric)
    spoken = "; ".join(
        f"{c.arm} {format_difference(verdict.metric, c.difference.mean or 0.0)}, {c.decision}"
        for c in comparisons
    )
    return DifferenceFigure(
        slug=f"differences-{setting.setting.slug}",
        title=f"Difference to {reference}: {setting.setting.label}",
        axis_title=f"{label} minus that of {reference} ({measure})",
        margin=scale * verdict.margin,
        limits=axis_limits(rows, scale * verdict.margin),
        rows=tuple(rows),
        strokes={row.arm: strokes[row.arm] for row in rows},
        description=(
            f"Difference in {label} to {reference}, in {measure}, over "
            f"{count(max(len(r.blocks) for r in rows), 'block')}: {spoken}."
        ),
    )


def axis_limits(rows: Sequence[DifferenceRow], margin: float) -> tuple[float, float]:
    """Limits that show the band, zero and every mean.

    Blocks and ends of intervals that lie far out do not stretch the axis (beyond the means by
    more than twice the band, and by more than a third of what the means span): they are cut, and
    marked where they are cut.
    """
    means = [row.mean for row in rows]
    low, high = min([*means, -1.4 * margin]), max([*means, 1.4 * margin])
    room = max(2 * margin, (high - low) / 3)
    ends = [end for row in rows for end in (row.low, row.high, *row.blocks.values())]
    known = [min(max(end, low - room), high + room) for end in ends if end is not None]
    low, high = min([low, *known]), max([high, *known])
    padding = 0.06 * (high - low)
    return (low - padding, high + padding)
