"""Value against the time of a run; see data.py."""

from __future__ import annotations

import altair as alt
import pandas as pd

from normlab.report.charts.style import INK, MUTED, colour_scale
from normlab.report.sections.cost.data import CostFigure


def cost_chart(figure: CostFigure, width: int = 520, height: int = 260) -> alt.TopLevelMixin:
    """One named point an arm; those on the front are joined."""
    frame = pd.DataFrame(
        [(row.arm, row.run_seconds, row.value, row.front) for row in figure.rows],
        columns=["arm", "seconds", "value", "front"],
    )
    frame["value"] *= figure.scale
    arms = list(figure.strokes)
    x = alt.X(
        "seconds:Q",
        scale=alt.Scale(zero=False, nice=True, padding=24),
        axis=alt.Axis(title="training time of a run (s)", tickCount=7, grid=False),
    )
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(zero=False, nice=True, padding=12),
        axis=alt.Axis(title=figure.axis_title, tickCount=5, domain=False),
    )
    front = frame[frame["front"]].sort_values("seconds")
    line = (
        alt.Chart(front)
        .mark_line(color=MUTED, strokeWidth=1.2, strokeDash=[4, 3])
        .encode(x=x, y=y, order="seconds:Q")
    )
    base = alt.Chart(frame).encode(x=x, y=y)
    points = base.mark_point(size=95, filled=True, opacity=1, stroke=INK, strokeWidth=0.8)
    names = base.mark_text(align="left", dx=9, dy=-8, fontSize=12, color=INK, limit=180)
    return alt.layer(
        line,
        points.encode(color=colour_scale(figure.strokes, arms, legend=False)),
        names.encode(text="arm:N"),
    ).properties(width=width, height=height)
