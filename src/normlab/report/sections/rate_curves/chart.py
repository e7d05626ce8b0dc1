"""The chart of the rate curves; see data.py."""

from __future__ import annotations

import altair as alt

from normlab.report.charts.style import colour_scale, dash_scale
from normlab.report.sections.rate_curves.data import RateFigure


def rate_chart(figure: RateFigure, width: int = 640, height: int = 300) -> alt.TopLevelMixin:
    """A line an arm over the logarithm of the rate, its band, its trials, ticks at its picks."""
    arms = list(figure.strokes)
    x = alt.X(
        "rate:Q",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(title="learning rate", grid=False, format="~g", tickCount=6),
    )
    y = alt.Scale(zero=False, nice=True)
    axis = alt.Axis(title=figure.title, tickCount=6, domain=False)
    colour = colour_scale(figure.strokes, arms, legend=True)
    base = alt.Chart(figure.lines).encode(x=x, color=colour)
    band = (
        base.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.13)
        .encode(y=alt.Y("low:Q", scale=y, axis=axis), y2="high:Q")
    )
    line = base.mark_line(strokeWidth=2, clip=True).encode(
        y=alt.Y("mean:Q", scale=y, axis=axis),
        strokeDash=dash_scale(figure.strokes, arms, legend=False),
    )
    trials = (
        alt.Chart(figure.points)
        .mark_point(size=14, filled=True, opacity=0.45)
        .encode(x=x, y=alt.Y("value:Q", scale=y, axis=axis), color=colour)
    )
    picks = (
        alt.Chart(figure.chosen)
        .mark_tick(thickness=2, size=9, orient="vertical", opacity=0.8)
        .encode(x=x, y=alt.value(height), color=colour)
    )
    chart: alt.TopLevelMixin = alt.layer(band, trials, line, picks).properties(
        width=width, height=height
    )
    return chart
