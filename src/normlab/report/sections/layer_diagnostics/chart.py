"""The charts of what went on inside the layers; see data.py."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from normlab.report.charts.style import INK, colour_scale, dash_scale, epoch_axis
from normlab.report.sections.layer_diagnostics.data import (
    MEASURES,
    CourseFigure,
    DepthFigure,
    FeatureFigure,
)
from normlab.stats.summary.layer_diagnostics import FEATURE_COLUMNS

COLUMNS = 3
PERCENTILES = ("1 %", "20 %", "80 %", "99 %")
"""Names of FEATURE_COLUMNS in a figure."""
LEAST = {"dead": 1.0, "mean_gap": 0.01, "gradient": 1.0}
"""The vertical axis of a measure by depth goes at least so far, or noise would fill it."""
LAYER_COLOURS = ("#E8A33D", "#D9607A", "#8F5FC0", "#3F74D0")
"""From the first layer to the last; none so light or so dark that a page's form hides it."""


def feature_chart(figure: FeatureFigure, width: int = 180, height: int = 140) -> alt.TopLevelMixin:
    """Two bands an arm: from the 1st to the 99th percentile, and from the 20th to the 80th."""
    low, inner_low, inner_high, high = FEATURE_COLUMNS
    panels: list[Any] = []
    for arm, stroke in figure.strokes.items():
        own = figure.frame[figure.frame["arm"] == arm]
        base = alt.Chart(own).encode(x=_epochs(own))
        scale = alt.Scale(zero=False, nice=True)
        if figure.shared:
            ends = [float(figure.frame[low].min()), float(figure.frame[high].max())]
            scale = alt.Scale(domain=ends, nice=True)
        title = None if len(panels) % COLUMNS else "value of a feature"
        axis = alt.Axis(title=title, tickCount=4, domain=False)
        layers: list[alt.Chart] = []
        for bottom, top, opacity in ((low, high, 0.22), (inner_low, inner_high, 0.45)):
            y = alt.Y(f"{bottom}:Q", scale=scale, axis=axis)
            layers.append(
                base.mark_area(color=stroke.colour, opacity=opacity).encode(y=y, y2=f"{top}:Q")
            )
        for column in FEATURE_COLUMNS:
            y = alt.Y(f"{column}:Q", scale=scale, axis=axis)
            layers.append(base.mark_line(color=stroke.colour, strokeWidth=1.3).encode(y=y))
        layers.append(_names(own, scale, axis, stroke.colour))
        panels.append(alt.layer(*layers).properties(width=width, height=height, title=arm))
    return alt.concat(*panels, columns=COLUMNS)


def _names(own: pd.DataFrame, scale: alt.Scale, axis: alt.Axis, colour: str) -> alt.Chart:
    """The percentiles at the right ends of their lines, as the key."""
    last = own[own["epoch"] == own["epoch"].max()]
    found = pd.DataFrame(
        {
            "epoch": [int(own["epoch"].max())] * len(FEATURE_COLUMNS),
            "value": [float(last[column].median()) for column in FEATURE_COLUMNS],
            "name": PERCENTILES,
        }
    )
    ends = float(own[list(FEATURE_COLUMNS)].max().max() - own[list(FEATURE_COLUMNS)].min().min())
    apart = found["value"].diff().fillna(ends) > 0.07 * max(ends, 1e-12)
    text: alt.Chart = alt.Chart(found[apart]).mark_text(align="left", dx=4, fontSize=10, color=INK)
    return text.encode(x=_epochs(own), y=alt.Y("value:Q", scale=scale, axis=axis), text="name:N")


def course_chart(figure: CourseFigure, width: int = 190, height: int = 150) -> alt.TopLevelMixin:
    """A line a layer, from orange for the first to blue for the last, a panel an arm."""
    depth = int(figure.frame["depth"].max())
    colour = alt.Color(
        "depth:Q",
        scale=alt.Scale(domain=[1, max(2, depth)], range=list(LAYER_COLOURS)),
        legend=alt.Legend(title="layer", gradientLength=110, tickCount=4, format="d"),
    )
    highest = 1.0 if figure.measure == "gate" else float(figure.frame["value"].max())
    scale = alt.Scale(domain=[0, max(highest, 1e-6)], nice=True)
    panels = []
    for arm in figure.arms:
        own = figure.frame[figure.frame["arm"] == arm]
        panels.append(
            alt.Chart(own)
            .mark_line(strokeWidth=1.6)
            .encode(
                x=_epochs(own),
                y=alt.Y(
                    "value:Q",
                    scale=scale,
                    axis=alt.Axis(title=MEASURES[figure.measure], tickCount=5, domain=False),
                ),
                color=colour,
                detail="depth:N",
            )
            .properties(width=width, height=height, title=arm)
        )
    return alt.concat(*panels, columns=COLUMNS)


def depth_chart(figure: DepthFigure, width: int = 190, height: int = 170) -> alt.TopLevelMixin:
    """Depth across, a panel a measure, a line an arm; gradients on a scale of powers."""
    arms = list(figure.strokes)
    panels = []
    for number, measure in enumerate(figure.measures):
        own = figure.frame[["arm", "depth", measure]].dropna()
        scale = alt.Scale(domain=[0, max(float(own[measure].max()), LEAST[measure])], nice=True)
        axis = alt.Axis(title=MEASURES[measure], tickCount=5, domain=False, format="~g")
        if measure == "gradient":
            own = own[own[measure] > 0]
            scale = alt.Scale(type="log", nice=True)
            axis.values = [10.0**power for power in range(-12, 6)]
        x = alt.X(
            "depth:Q",
            scale=alt.Scale(domain=[1, max(2, int(figure.frame["depth"].max()))], nice=False),
            axis=alt.Axis(title="layer", grid=False, format="d", tickCount=7),
        )
        y = alt.Y(
            f"{measure}:Q",
            scale=scale,
            axis=axis,
        )
        colour = colour_scale(figure.strokes, arms, legend=number == len(figure.measures) - 1)
        dash = dash_scale(figure.strokes, arms, legend=False)
        base = alt.Chart(own).encode(x=x, y=y, color=colour)
        points = base.mark_point(size=16, filled=True, opacity=1)
        line = base.mark_line(strokeWidth=1.6).encode(strokeDash=dash)
        panels.append(alt.layer(line, points).properties(width=width, height=height))
    row: alt.TopLevelMixin = alt.hconcat(*panels).resolve_scale(color="independent")
    return row


def _epochs(own: pd.DataFrame) -> alt.X:
    return epoch_axis(int(own["epoch"].max()), 5)
