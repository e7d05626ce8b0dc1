"""Differences of recall and a confusion matrix, for a paper: the page has tables in their place."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from normlab.report.charts.style import INK
from normlab.report.sections.per_class.data import ConfusionFigure, RecallFigure


def recall_chart(figure: RecallFigure) -> alt.TopLevelMixin:
    """Classes down, arms across; blue is better than the reference, orange worse."""
    frame = pd.DataFrame(
        [
            (name, arm, figure.points[row, column])
            for row, name in enumerate(figure.names)
            for column, arm in enumerate(figure.arms)
        ],
        columns=["name", "arm", "points"],
    )
    limit = max(1.0, float(np.nanmax(np.abs(figure.points))) if figure.points.size else 1.0)
    x = alt.X(
        "arm:N", sort=list(figure.arms), axis=alt.Axis(title=None, orient="top", labelAngle=0)
    )
    y = alt.Y("name:N", sort=list(figure.names), axis=alt.Axis(title=None, ticks=False))
    colour = alt.Color(
        "points:Q",
        scale=alt.Scale(domain=[-limit, 0, limit], range=["#b45309", "#f7f7f5", "#0b5cad"]),
        legend=alt.Legend(title="points", gradientLength=140, labelFontSize=11),
    )
    base = alt.Chart(frame).encode(x=x, y=y)
    strong = f"abs(datum.points) > {0.6 * limit}"
    texts = base.mark_text(fontSize=11).encode(
        text=alt.Text("points:Q", format="+.1f"),
        color=alt.condition(strong, alt.value("#ffffff"), alt.value(INK)),
    )
    return alt.layer(base.mark_rect().encode(color=colour), texts).properties(
        width=62 * len(figure.arms), height=20 * len(figure.names), title=figure.title
    )


def confusion_chart(figure: ConfusionFigure) -> alt.TopLevelMixin:
    """True classes down, predicted across; each row in percent of the class's images."""
    frame = pd.DataFrame(
        [
            (true, predicted, figure.percent[row, column])
            for row, true in enumerate(figure.names)
            for column, predicted in enumerate(figure.names)
        ],
        columns=["true", "predicted", "percent"],
    )
    side = max(200, 20 * len(figure.names))
    order = list(figure.names)
    x = alt.X("predicted:N", sort=order, axis=alt.Axis(title="predicted", labelAngle=-60))
    y = alt.Y("true:N", sort=order, axis=alt.Axis(title="true"))
    colour = alt.Color(
        "percent:Q",
        scale=alt.Scale(scheme="blues", domain=[0, 100]),
        legend=alt.Legend(title="% of class", gradientLength=140),
    )
    cells = alt.Chart(frame).mark_rect().encode(x=x, y=y, color=colour)
    return alt.layer(cells).properties(width=side, height=side, title=figure.title)
