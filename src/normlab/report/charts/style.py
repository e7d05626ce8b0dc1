"""What all charts share: colours, fonts, axes, the strokes of the arms, arrows at an edge.

Neutral colours are few and fixed, so that the page can exchange them for its dark form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from normlab.report.charts.colours import Stroke

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


def epoch_axis(last: int, count: int = 8) -> alt.X:
    """Epochs from the first to the last; ticks at whole numbers alone."""
    step = max(1, -(-(last - 1) // count))
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, step) if size >= step)
    values = [1, *range(step, last + 1, step)] if step > 1 else list(range(1, last + 1))
    return alt.X(
        "epoch:Q",
        scale=alt.Scale(domain=[1, max(2, last)], nice=False),
        axis=alt.Axis(title="epoch", grid=False, format="d", values=values),
    )


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


def colour_scale(strokes: Mapping[str, Stroke], arms: Sequence[str], legend: bool) -> alt.Color:
    """The fixed colour of each arm."""
    scale = alt.Scale(domain=list(arms), range=[strokes[arm].colour for arm in arms])
    return alt.Color("arm:N", scale=scale, legend=alt.Legend(title="arm") if legend else None)


def dash_scale(strokes: Mapping[str, Stroke], arms: Sequence[str], legend: bool) -> alt.StrokeDash:
    """The fixed dashes of each arm's lines."""
    dashes = [list(strokes[arm].dash) or [1, 0] for arm in arms]
    scale = alt.Scale(domain=list(arms), range=dashes)
    return alt.StrokeDash("arm:N", scale=scale, legend=alt.Legend(title="arm") if legend else None)


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
