"""Rate curves as plain data: the metric over the learning rate, a line an arm with its band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from normlab.records.cells import Setting
from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import NOTHING
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import LABELS, format_value, is_share, printed_scale
from normlab.stats.summary.rate_curves import RateCurve, RateCurves
from normlab.text import count, join

DECADES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Rates at which the table reads the curves."""


@dataclass(frozen=True, eq=False)
class RateFigure:
    """The curves of a setting."""

    lines: pd.DataFrame
    """arm, rate, mean, low, high: percent for shares; low and high not a number without a band."""
    points: pd.DataFrame
    """arm, rate, value: every trial of the first rung."""
    chosen: pd.DataFrame
    """arm, rate: what the arm was given in each block."""
    title: str
    strokes: Mapping[str, Stroke]
    description: str


@dataclass(frozen=True, eq=False)
class RateView:
    """The figure and the table of one setting."""

    setting: str
    slug: str
    sentence: str
    figure: RateFigure
    table: Table


def rate_view(curves: RateCurves, setting: Setting, strokes: Mapping[str, Stroke]) -> RateView:
    """Make the figure and the table of one setting."""
    return RateView(
        setting=setting.label,
        slug=setting.slug,
        sentence=curves.sentence,
        figure=rate_figure(curves, strokes),
        table=rate_table(curves, setting),
    )


def rate_figure(curves: RateCurves, strokes: Mapping[str, Stroke]) -> RateFigure:
    """Values in percent where the metric is a share."""
    scale = 100.0 if is_share(curves.metric) else 1.0
    lines = pd.concat(
        pd.DataFrame(
            {
                "arm": curve.arm,
                "rate": curve.rates,
                "mean": scale * curve.mean,
                "low": scale * curve.low,
                "high": scale * curve.high,
            }
        )
        for curve in curves.curves
    )
    points = [
        (curve.arm, point.rate, scale * point.score)
        for curve in curves.curves
        for point in curve.points
    ]
    chosen = [(curve.arm, rate) for curve in curves.curves for rate in curve.chosen]
    unit = " (%)" if scale == 100.0 else ""
    epochs = count(curves.curves[0].epochs, "epoch")
    arms = [curve.arm for curve in curves.curves]
    return RateFigure(
        lines=lines,
        points=pd.DataFrame(points, columns=["arm", "rate", "value"]),
        chosen=pd.DataFrame(chosen, columns=["arm", "rate"]),
        title=f"validation {LABELS[curves.metric]} after {epochs}{unit}",
        strokes={arm: strokes[arm] for arm in arms if arm in strokes},
        description=(
            f"Validation {LABELS[curves.metric]} against the learning rate, for {join(arms)}; the "
            f"tuning points of {count(curves.blocks, 'block')}. The numbers are in the table."
        ),
    )


def rate_table(curves: RateCurves, setting: Setting) -> Table:
    """The curves read at a few rates, and the rates that each arm bears."""
    first = curves.curves[0]
    percent = " (%)" if is_share(curves.metric) else ""
    rates = [rate for rate in DECADES if first.rates[0] <= rate <= first.rates[-1]]
    rows: list[tuple[Cell, ...]] = []
    for curve in curves.curves:
        low, high = curve.bearable
        borne = Printed(None, NOTHING)
        if is_share(curves.metric):
            borne = _range(low, high) if curve.learned else Printed(None, "only guesses")
        given = _range(min(curve.chosen), max(curve.chosen))
        rows.append((curve.arm, *(_at(curve, rate, curves.metric) for rate in rates), borne, given))
    return Table(
        slug=f"rate-curves-{setting.slug}",
        title=f"Validation {LABELS[curves.metric]} by learning rate",
        caption=(
            f"{setting}. Smoothed over the tuning points of {count(curves.blocks, 'block')}, each "
            f"trained {count(first.epochs, 'epoch')}, with 95 % intervals over blocks where there "
            "are three, over the rates that two blocks reached. Borne: no more than 5 points "
            "below the arm's best. Chosen: what the arm was given over the blocks."
        ),
        head=("norm", *(f"at {rate:g}{percent}" for rate in rates), "borne", "chosen"),
        rows=tuple(rows),
    )


def _at(curve: RateCurve, rate: float, metric: str) -> Printed:
    place = int(np.abs(np.log10(curve.rates) - np.log10(rate)).argmin())
    mean = float(curve.mean[place])
    text, interval = format_value(metric, mean), None
    scale = printed_scale(metric)
    if np.isfinite(curve.low[place]):
        ends = (float(curve.low[place]), float(curve.high[place]))
        low, high = (format_value(metric, end) for end in ends)
        text += f" [{low}, {high}]"
        interval = (scale * ends[0], scale * ends[1])
    return Printed(scale * mean, text, interval=interval)


def _range(low: float, high: float) -> Printed:
    """From the lowest to the highest learning rate."""
    same = f"{low:.2g}" == f"{high:.2g}"
    return Printed(None, f"{low:.2g}" if same else f"{low:.2g} to {high:.2g}", interval=(low, high))
