"""From the plain data of a figure to an altair chart.

Neutral colours are few and fixed, so that the page can exchange them for its dark form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from normlab.report.charts.colours import Stroke
from normlab.report.sections.figures import CurveFigure, CurvePanel, DifferenceFigure

INK = "#1b1f24"
MUTED = "#5b6570"
RULE = "#dde2e7"
BAND = "#e6ebf0"

LABEL_SPACE = 84.0
"""Points kept at least for the names of arms."""
LETTER = 7.6
"""Points of a letter in the widest of the usual fonts: a page cannot choose which one is there."""

STYLE: dict[str, Any] = {
    "font": "Helvetica, Arial, sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": INK,
        "gridColor": RULE,
        "domainColor": RULE,
        "tickColor": RULE,
        "labelFontSize": 12,
        "labelPadding": 5,
        "titleFontSize": 12.5,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisY": {"labelLimit": 220},
    "title": {
        "color": INK,
        "fontSize": 13,
        "fontWeight": "normal",
        "anchor": "start",
        "offset": 8,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "labelLimit": 220,
        "symbolStrokeWidth": 2.5,
        "symbolOpacity": 1,
        "symbolSize": 260,
    },
    "concat": {"spacing": 18},
}
"""Given whole and once: each of altair's configure_… copies the chart with all of its data."""


def panel_chart(
    panel: CurvePanel, figure: CurveFigure, width: int = 400, height: int = 210
) -> alt.TopLevelMixin:
    """One panel without a legend: the page has one for all."""
    return _curve_layers(panel, figure, legend=False).properties(width=width, height=height)


def curves_chart(figure: CurveFigure) -> alt.TopLevelMixin:
    """All panels in one picture with a legend, for a paper."""
    pairs = zip(figure.panels[::2], figure.panels[1::2], strict=True)
    rows = [
        alt.hconcat(
            *(
                _curve_layers(panel, figure, legend=True).properties(
                    width=300, height=150, title=f"{panel.axis_title}, {panel.part}"
                )
                for panel in pair
            )
        )
        for pair in pairs
    ]
    return alt.vconcat(*rows, title=figure.title)


def difference_chart(figure: DifferenceFigure, width: int = 520) -> alt.TopLevelMixin:
    """Each arm's difference to the reference on a line of its own, around the band of equality."""
    low, high = figure.limits
    arms = [row.arm for row in figure.rows]
    x_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x_axis = alt.Axis(title=figure.axis_title, tickCount=7, grid=False)
    y = arm_axis(arms)
    colour = colour_scale(figure.strokes, arms, legend=False)

    means = pd.DataFrame(
        [
            {
                "arm": row.arm,
                "mean": row.mean,
                "low": low if row.low is None else max(row.low, low),
                "high": high if row.high is None else min(row.high, high),
            }
            for row in figure.rows
        ]
    )
    inside = means[means["mean"].between(low, high)]
    measured = {row.arm for row in figure.rows if row.low is not None}
    bars = means[means["arm"].isin(measured) & (means["low"] < high) & (means["high"] > low)]
    dots = pd.DataFrame(
        [
            (row.arm, value, f"{row.arm}, block {block}")
            for row in figure.rows
            for block, value in row.blocks.items()
            if low <= value <= high
        ],
        columns=["arm", "value", "name"],
    )
    band = pd.DataFrame({"from": [-figure.margin], "to": [figure.margin]})

    layers: list[alt.Chart] = [
        alt.Chart(band)
        .mark_rect(color=BAND, opacity=1)
        .encode(x=alt.X("from:Q", scale=x_scale, axis=x_axis), x2="to:Q"),
        alt.Chart(pd.DataFrame({"zero": [0.0]}))
        .mark_rule(color=MUTED, strokeWidth=1)
        .encode(x=alt.X("zero:Q", scale=x_scale)),
        alt.Chart(bars)
        .mark_rule(strokeWidth=3)
        .encode(x=alt.X("low:Q", scale=x_scale, axis=x_axis), x2="high:Q", y=y, color=colour),
        alt.Chart(dots)
        .mark_tick(thickness=1.5, height=11, opacity=1)
        .encode(
            x=alt.X("value:Q", scale=x_scale, axis=x_axis), y=y, color=colour, description="name:N"
        ),
        alt.Chart(inside)
        .mark_point(size=95, filled=True, opacity=1, stroke=INK, strokeWidth=0.8)
        .encode(x=alt.X("mean:Q", scale=x_scale, axis=x_axis), y=y, color=colour),
    ]
    arrows = _arrows(figure)
    for direction, edge in (("left", low), ("right", high)):
        cut = arrows[arrows["direction"] == direction]
        if len(cut):
            layers += arrow_layers(cut, direction, edge, x_scale, y, colour)
    return alt.layer(*layers).properties(width=width, height=30 * len(arms) + 10)


def arm_axis(arms: Sequence[str]) -> alt.Y:
    """Arms from top to bottom in the order given; plots below each other line up."""
    axis = alt.Axis(
        title=None,
        ticks=False,
        domain=False,
        minExtent=min(220.0, max(LABEL_SPACE, LETTER * max(map(len, arms), default=0))),
        maxExtent=220,
        offset=6,
    )
    return alt.Y("arm:N", sort=list(arms), axis=axis)


def configured(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The Vega-Lite specification, data inside, in the style that all figures share.

    Not validated: the charts are ours, not a user's, and the check takes as long as the drawing.
    """
    with alt.data_transformers.enable("default", max_rows=None, consolidate_datasets=True):
        spec: dict[str, Any] = chart.to_dict(validate=False)
    return {**spec, "config": STYLE}


def _curve_layers(panel: CurvePanel, figure: CurveFigure, legend: bool) -> alt.LayerChart:
    low, high = panel.range
    clip = bool((panel.blocks["value"] > high).any())  # only where needed: it is slow to paint
    x = alt.X(
        "epoch:Q",
        scale=alt.Scale(domain=[1, max(2, panel.last_epoch)], nice=False),
        axis=alt.Axis(title="epoch", grid=False, tickMinStep=1, format="d", tickCount=8),
    )
    is_share = panel.metric != "loss"
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(domain=[low, high], zero=False, nice=True, clamp=False),
        axis=alt.Axis(  # without a title: the heading of the panel says what it is
            title=None, tickCount=5, domain=False, format="%" if is_share else "~r"
        ),
    )
    colour = colour_scale(figure.strokes, figure.arms, legend)
    dash = dash_scale(figure.strokes, figure.arms, legend)
    named = panel.blocks.assign(
        name=panel.blocks["arm"] + ", block " + panel.blocks["block"].astype(str)
    )
    thin = (
        alt.Chart(named)
        .mark_line(strokeWidth=0.8, strokeOpacity=0.38, clip=clip)
        .encode(x=x, y=y, color=colour, strokeDash=dash, detail="block:N", description="name:N")
    )
    bold = (
        alt.Chart(panel.medians.assign(name=panel.medians["arm"] + ", median"))
        .mark_line(strokeWidth=2.4, clip=clip)
        .encode(x=x, y=y, color=colour, strokeDash=dash, description="name:N")
    )
    layers: alt.LayerChart = alt.LayerChart(layer=[thin, bold])
    return layers


def colour_scale(strokes: Mapping[str, Stroke], arms: Sequence[str], legend: bool) -> alt.Color:
    """The fixed colour of each arm."""
    scale = alt.Scale(domain=list(arms), range=[strokes[arm].colour for arm in arms])
    return alt.Color("arm:N", scale=scale, legend=alt.Legend(title="arm") if legend else None)


def dash_scale(strokes: Mapping[str, Stroke], arms: Sequence[str], legend: bool) -> alt.StrokeDash:
    """The fixed dashes of each arm's lines."""
    dashes = [list(strokes[arm].dash) or [1, 0] for arm in arms]
    scale = alt.Scale(domain=list(arms), range=dashes)
    return alt.StrokeDash("arm:N", scale=scale, legend=alt.Legend(title="arm") if legend else None)


def _arrows(figure: DifferenceFigure) -> pd.DataFrame:
    """Where something lies beyond an edge: a mean (with its number) or an end of an interval."""
    low, high = figure.limits
    found = []
    for row in figure.rows:
        for direction, end, mean_is_out in (
            ("left", row.low, row.mean < low),
            ("right", row.high, row.mean > high),
        ):
            end_is_out = end is not None and (end < low if direction == "left" else end > high)
            if mean_is_out or end_is_out:
                found.append((row.arm, direction, row.mean_text if mean_is_out else ""))
    return pd.DataFrame(found, columns=["arm", "direction", "text"])


def arrow_layers(
    cut: pd.DataFrame, direction: str, edge: float, x_scale: alt.Scale, y: alt.Y, colour: alt.Color
) -> list[alt.Chart]:
    """A triangle at the edge for each row of `cut` (arm, direction, text), with its number."""
    at_edge = cut.assign(edge=edge)
    x = alt.X("edge:Q", scale=x_scale)
    points = alt.Chart(at_edge).mark_point(
        shape=f"triangle-{direction}", size=110, filled=True, opacity=1
    )
    numbers = alt.Chart(at_edge).mark_text(
        align="left" if direction == "left" else "right",
        dx=12 if direction == "left" else -12,
        dy=-9,
        fontSize=11.5,
        color=INK,
    )
    return [
        points.encode(x=x, y=y, color=colour),
        numbers.encode(x=x, y=y, text="text:N"),
    ]
