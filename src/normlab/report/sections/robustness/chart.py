"""The chart of accuracy under changes; see data.py."""

from __future__ import annotations

import altair as alt

from normlab.records.robustness import COMPOSITION
from normlab.report.charts.style import colour_scale, dash_scale
from normlab.report.sections.robustness.data import RobustnessFigure

COLUMNS = 4


def robustness_chart(
    figure: RobustnessFigure, width: int = 150, height: int = 140
) -> alt.TopLevelMixin:
    """A panel a change, a line an arm with its interval as a band; one vertical axis for all."""
    arms = list(figure.strokes)
    scale = alt.Scale(domain=[0, 100], nice=False)
    dash = dash_scale(figure.strokes, arms, legend=False)
    panels = []
    for number, name in enumerate(figure.panels):
        own = figure.frame[figure.frame["change"] == name]
        own = own.assign(low=own["low"].clip(lower=0), high=own["high"].clip(upper=100))
        title = "statistics of batches of" if name == COMPOSITION else "strength"
        x = alt.X(
            "level:N",
            sort=list(figure.levels[name]),
            axis=alt.Axis(title=title, grid=False, labelAngle=0),
            scale=alt.Scale(type="point", padding=0.2),
        )
        axis = alt.Axis(
            title=None if number % COLUMNS else "accuracy (%)", tickCount=5, domain=False
        )
        base = alt.Chart(own).encode(
            x=x, color=colour_scale(figure.strokes, arms, legend=number == len(figure.panels) - 1)
        )
        band = (
            base.transform_filter("isValid(datum.low)")
            .mark_area(opacity=0.15)
            .encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q")
        )
        line = base.mark_line(strokeWidth=1.7, point=alt.OverlayMarkDef(size=16)).encode(
            y=alt.Y("mean:Q", scale=scale, axis=axis), strokeDash=dash
        )
        panels.append(alt.layer(band, line).properties(width=width, height=height, title=name))
    chart: alt.TopLevelMixin = alt.concat(*panels, columns=COLUMNS).resolve_scale(
        color="independent"
    )
    return chart
