"""One panel of the learning curves; see data.py."""

from __future__ import annotations

import altair as alt

from normlab.report.charts.style import colour_scale, dash_scale, epoch_axis
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
    clip = panel.goes_beyond  # only where needed: it is slow to paint
    x = epoch_axis(panel.last_epoch)
    is_share = panel.metric != "loss"
    scale = alt.Scale(domain=[low, high], zero=False, nice=True, clamp=False)
    # without a title: the heading of the panel says what it is
    axis = alt.Axis(title=None, tickCount=5, domain=False, format="%" if is_share else "~r")
    y = alt.Y("value:Q", scale=scale, axis=axis)
    colour = colour_scale(figure.strokes, figure.arms, legend=False)
    dash = dash_scale(figure.strokes, figure.arms, legend=False)
    many = panel.many
    bold = (
        alt.Chart(panel.medians.assign(name=panel.medians["arm"].astype(str) + ", median"))
        .mark_line(strokeWidth=2.4, clip=clip)
        .encode(x=x, y=y, color=colour, strokeDash=dash, description="name:N")
    )
    drawn = [bold]
    if blocks and len(panel.blocks):
        named = panel.blocks.assign(
            name=panel.blocks["arm"].astype(str) + ", block " + panel.blocks["block"].astype(str)
        )
        thin = (
            alt.Chart(named)
            .mark_line(strokeWidth=0.8, strokeOpacity=0.0 if many else 0.38, clip=clip)
            .encode(x=x, y=y, color=colour, strokeDash=dash, detail="block:N", description="name:N")
        )
        drawn.insert(0, thin)
    if blocks and many:
        band = (
            alt.Chart(panel.band)
            .mark_area(opacity=0.16, clip=clip)
            .encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q", color=colour)
        )
        drawn.insert(0, band)
    layers: alt.LayerChart = alt.LayerChart(layer=drawn)
    return layers.properties(width=width, height=height)
