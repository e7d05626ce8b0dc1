"""The figures as plain data; charts.py draws them, tests look here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from normlab.report.charts.colours import Stroke
from normlab.stats.data.metrics import LABELS, format_difference, is_share, unit
from normlab.stats.inference.comparison import against
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.text import count

FIGURE_METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
MEDIAN_NEEDS = 0.5
"""The median is drawn where at least this share of an arm's blocks has the epoch."""


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """One metric of one part: a thin line a block, a bold median an arm."""

    metric: str
    part: str
    axis_title: str
    blocks: pd.DataFrame
    """arm, block, epoch, value."""
    medians: pd.DataFrame
    """arm, epoch, value."""
    range: tuple[float, float]
    """Of the values; the same for train and validation, so that the two can be compared."""
    last_epoch: int


@dataclass(frozen=True, eq=False)
class CurveFigure:
    """The four curves of a setting, for train and validation."""

    slug: str
    title: str
    arms: tuple[str, ...]
    strokes: dict[str, Stroke]
    panels: tuple[CurvePanel, ...]
    """By metric, train before validation."""

    def twin(self, number: int) -> int | None:
        """The earlier panel that has the very same values, if there is one.

        Micro F1 is accuracy where every image has one label.
        """
        own = self.panels[number].blocks
        for earlier, panel in enumerate(self.panels[:number]):
            if panel.range == self.panels[number].range and panel.blocks.equals(own):
                return earlier
        return None

    @property
    def is_empty(self) -> bool:
        """Whether there is not one epoch to draw."""
        return all(panel.blocks.empty for panel in self.panels)


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
    """The difference in every block that both arms have."""


@dataclass(frozen=True, eq=False)
class DifferenceFigure:
    """Each arm's difference to the reference, and the band of practical equality."""

    slug: str
    title: str
    axis_title: str
    margin: float
    """Half the width of the band, in printed units."""
    limits: tuple[float, float]
    """Of the axis; what lies beyond is drawn as an arrow at the edge."""
    rows: tuple[DifferenceRow, ...]
    strokes: dict[str, Stroke]
    description: str
    """What the figure shows, in words, for who cannot see it."""


def curve_figure(
    setting: SettingAnalysis, curves: pd.DataFrame, strokes: dict[str, Stroke]
) -> CurveFigure:
    """The curves of one setting out of the tidy table of all; see normlab.stats.data.curves."""
    own = curves[(curves["setting"] == setting.setting.label) & curves["value"].notna()]
    own = own.astype({"arm": str})  # a column of categories multiplies and groups in its own way
    arms = tuple(row.arm for row in setting.rows)
    panels = []
    for metric in FIGURE_METRICS:
        both = own[own["metric"] == metric]
        limits = value_range(both["value"])
        for part in ("train", "validation"):
            blocks = both[both["part"] == part][["arm", "block", "epoch", "value"]]
            panels.append(
                CurvePanel(
                    metric=metric,
                    part=part,
                    axis_title=LABELS[metric],
                    blocks=blocks.reset_index(drop=True),
                    medians=medians(blocks),
                    range=limits,
                    last_epoch=int(own["epoch"].max()) if len(own) else 1,
                )
            )
    return CurveFigure(
        slug=f"curves-{setting.setting.slug}",
        title=f"Learning curves: {setting.setting.label}",
        arms=arms,
        strokes={arm: strokes[arm] for arm in arms},
        panels=tuple(panels),
    )


def value_range(values: pd.Series[float]) -> tuple[float, float]:
    """From the smallest to the largest value, or to twice the 98th percentile if that is less.

    One diverging run may reach a loss of 10^6; on its scale all others would be one flat line.
    """
    if values.empty:
        return (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    return (low, min(high, 2 * float(values.quantile(0.98))) if low >= 0 else high)


def medians(blocks: pd.DataFrame) -> pd.DataFrame:
    """The median over blocks of each arm and epoch.

    Epochs that fewer than half of the arm's blocks have reached are left out: there the median
    would jump because blocks end, not because the arm changes.
    """
    grouped = blocks.groupby(["arm", "epoch"], sort=True)["value"].agg(["median", "count"])
    grouped = grouped.reset_index()
    started = grouped["arm"].map(blocks.groupby("arm")["block"].nunique())
    kept = grouped[grouped["count"] >= MEDIAN_NEEDS * started]
    return kept.rename(columns={"median": "value"})[["arm", "epoch", "value"]].reset_index(
        drop=True
    )


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
        interval = difference.interval
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
                    block: scale * float(value)
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
    """Limits that show the band and the arms that are near each other.

    An arm further out than four times the median distance (and twice the band) does not stretch
    the axis: a network without normalization may lose 40 points where the others differ by one.
    """
    near = max(2 * margin, 4 * statistics.median(abs(row.mean) for row in rows))
    shown = [value for row in rows for value in row.blocks.values() if abs(value) <= near]
    shown += [row.mean for row in rows if abs(row.mean) <= near]
    shown += [end for row in rows for end in (row.low, row.high) if end and abs(end) <= near]
    low, high = min([*shown, -1.4 * margin]), max([*shown, 1.4 * margin])
    padding = 0.06 * (high - low)
    return (low - padding, high + padding)
