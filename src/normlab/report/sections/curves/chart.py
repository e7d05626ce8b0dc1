"""One panel of the learning curves; see data.py."""

from __future__ import annotations

import altair as alt

from normlab.report.charts.style import colour_scale, dash_scale
from normlab.report.sections.curves.data import CurveFigure, CurvePanel


def panel_chart(
    panel: CurvePanel,
    figure: CurveFigure,
    blocks: bool = True,
    width: int = 400,
    height: int = 210,
) -> alt.TopLevelMixin:
    """One panel without a legend: the page has one for all; with or without a line a block."""
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
    colour = colour_scale(figure.strokes, figure.arms, legend=False)
    dash = dash_scale(figure.strokes, figure.arms, legend=False)
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
    layers: alt.LayerChart = alt.LayerChart(layer=[thin, bold] if blocks else [bold])
    return layers.properties(width=width, height=height)
