"""Where an answer holds: every arm in every setting, as a matrix and as curves over batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING
from normlab.stats.data.metrics import LABELS, format_difference, format_value, is_share
from normlab.stats.inference.intervals import paired_difference
from normlab.stats.summary.analysis import Analysis, SettingAnalysis


@dataclass(frozen=True)
class MatrixCell:
    """One arm in one setting."""

    text: str
    """The difference to the reference, or the reference's own value."""
    decision: str
    """The decision of the comparison; "reference", or "no result"."""


@dataclass(frozen=True)
class Matrix:
    """Arms × settings."""

    reference: str
    arms: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    """Slug and label."""
    cells: tuple[tuple[MatrixCell, ...], ...]
    """A row an arm."""


@dataclass(frozen=True)
class SettingPoint:
    """The mean of an arm in a setting, with its interval, in printed units."""

    arm: str
    rule: str
    """Optimizer and learning rate."""
    batch_size: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class SettingsFigure:
    """Value by batch size, a panel an optimizer."""

    slug: str
    title: str
    axis_title: str
    points: tuple[SettingPoint, ...]
    strokes: dict[str, Stroke]
    description: str


def matrix(analysis: Analysis, reference: str) -> Matrix | None:
    """None where there is one setting only: the answer table says it already."""
    if len(analysis.settings) < 2:
        return None
    arms = tuple(dict.fromkeys(row.arm for one in analysis.settings for row in one.rows))
    return Matrix(
        reference=reference,
        arms=arms,
        settings=tuple((one.setting.slug, one.setting.label) for one in analysis.settings),
        cells=tuple(tuple(_cell(arm, one, reference) for one in analysis.settings) for arm in arms),
    )


def _cell(arm: str, one: SettingAnalysis, reference: str) -> MatrixCell:
    metric = one.verdict.metric
    if arm not in one.verdict.arms:
        return MatrixCell(NOTHING, "no result")
    if arm == reference:
        value = float(np.nanmean(one.table.row(arm)))
        return MatrixCell(format_value(metric, value), "reference")
    comparison = one.verdict.comparison(arm, reference)
    if comparison is None or comparison.difference.mean is None:
        return MatrixCell(NOTHING, "no result")
    return MatrixCell(format_difference(metric, comparison.difference.mean), comparison.decision)


def settings_figure(analysis: Analysis, strokes: Mapping[str, Stroke]) -> SettingsFigure | None:
    """Value by batch size and optimizer; None where there is one setting, or no value."""
    points = setting_points(analysis.settings) if len(analysis.settings) > 1 else ()
    if not points:
        return None
    metric = analysis.plan.analysis.metric
    unit = " (%)" if is_share(metric) else ""
    return SettingsFigure(
        slug="where",
        title=f"{LABELS[metric].capitalize()} by batch size and optimizer",
        axis_title=f"{LABELS[metric]}{unit}",
        points=points,
        strokes={arm: strokes[arm] for arm in dict.fromkeys(p.arm for p in points)},
        description=(
            f"Mean {LABELS[metric]}{unit} of every arm over its blocks, with the 95 % t interval, "
            "by batch size, one panel an optimizer; the numbers are in the matrix below."
        ),
    )


def setting_points(settings: Sequence[SettingAnalysis]) -> tuple[SettingPoint, ...]:
    """Every measured arm of every setting."""
    found = []
    for one in settings:
        scale = 100.0 if is_share(one.verdict.metric) else 1.0
        size = one.setting.batch_size
        for arm in one.verdict.arms if size is not None else ():
            values = one.table.row(arm)
            summary = paired_difference(scale * values[~np.isnan(values)])
            interval = summary.interval
            if summary.mean is None or not math.isfinite(summary.mean):
                continue
            found.append(
                SettingPoint(
                    arm=arm,
                    rule=replace(one.setting, batch_size=None).label,
                    batch_size=size or 0,
                    mean=summary.mean,
                    low=None if interval is None else interval.low,
                    high=None if interval is None else interval.high,
                )
            )
    return tuple(found)
