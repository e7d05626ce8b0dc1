"""The reliability diagram; see data.py."""

from __future__ import annotations

import altair as alt
import pandas as pd

from normlab.report.charts.style import MUTED
from normlab.report.sections.ensembles.data import ReliabilityFigure

COLUMNS = 4


def reliability_chart(
    figure: ReliabilityFigure, width: int = 140, height: int = 140
) -> alt.TopLevelMixin:
    """Members dashed, the ensemble solid; the size of a point is its share of the images."""
    scale = alt.Scale(domain=[0, 1], nice=False)
    ends = pd.DataFrame({"confidence": [0.0, 1.0], "accuracy": [0.0, 1.0]})
    panels = []
    for number, name in enumerate(figure.names):
        own = figure.frame[figure.frame["name"] == name]
        title = None if number % COLUMNS else "accuracy"
        x = alt.X(
            "confidence:Q",
            scale=scale,
            axis=alt.Axis(title="confidence", tickCount=3, format="%", grid=False),
        )
        y = alt.Y(
            "accuracy:Q",
            scale=scale,
            axis=alt.Axis(title=title, tickCount=3, format="%", domain=False),
        )
        colour = figure.colours[name]
        diagonal = alt.Chart(ends).mark_line(color=MUTED, strokeWidth=0.8).encode(x=x, y=y)
        base = alt.Chart(own).encode(x=x, y=y)
        dash = alt.StrokeDash(
            "of:N",
            scale=alt.Scale(domain=["ensemble", "members"], range=[[1, 0], [4, 3]]),
            legend=alt.Legend(title=None) if number == len(figure.names) - 1 else None,
        )
        line = base.mark_line(color=colour, strokeWidth=1.8).encode(strokeDash=dash)
        circles = base.transform_filter("datum.of == 'ensemble'").mark_circle(
            color=colour, opacity=0.7
        )
        size = alt.Size("share:Q", scale=alt.Scale(domain=[0, 1], range=[6, 260]), legend=None)
        panels.append(
            alt.layer(diagonal, line, circles.encode(size=size)).properties(
                width=width, height=height, title=name
            )
        )
    chart: alt.TopLevelMixin = alt.concat(*panels, columns=COLUMNS).resolve_scale(
        strokeDash="independent"
    )
    return chart
