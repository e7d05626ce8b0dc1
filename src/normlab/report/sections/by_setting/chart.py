"""The value of every arm by batch size and optimizer; see data.py."""

from __future__ import annotations

import altair as alt
import pandas as pd

from normlab.report.charts.style import colour_scale
from normlab.report.sections.by_setting.data import SettingsFigure

PAGE_WIDTH = 760
"""Points across which panels may stand side by side, beside a legend."""


def settings_chart(figure: SettingsFigure) -> alt.TopLevelMixin:
    """Batch size across, on a scale of halvings; a panel an optimizer and rate."""
    frame = pd.DataFrame([vars(point) for point in figure.points])
    arms = list(figure.strokes)
    sizes = sorted(frame["batch_size"].unique().tolist())
    colour = colour_scale(figure.strokes, arms, legend=True)
    # arms side by side at each size: intervals on one spot would hide each other
    x = alt.X(
        "batch_size:O",
        sort=sizes,
        axis=alt.Axis(title="batch size", labelAngle=0, grid=False),
        scale=alt.Scale(paddingInner=0.15),
    )
    offset = alt.XOffset("arm:N", sort=arms)
    middle = float(frame["mean"].median())
    spread = float((frame["mean"] - middle).abs().median())
    floor = max(float(frame["mean"].min()), middle - 12 * max(spread, 1e-9))
    scale = alt.Scale(zero=False, nice=True, domainMin=floor - 0.05 * abs(middle - floor))
    axis = alt.Axis(title=figure.axis_title, tickCount=5, domain=False)
    y = alt.Y("mean:Q", scale=scale, axis=axis)
    width = min(600, max(160, 11 * len(arms) * len(sizes)))
    panels = []
    for rule, own in frame.groupby("rule", sort=False):
        base = alt.Chart(own).encode(x=x, xOffset=offset, color=colour)
        bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, clip=True)
        points = base.mark_point(size=60, filled=True, opacity=1, clip=True)
        layered = alt.layer(
            bars.encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
            points.encode(y=y),
        )
        panels.append(layered.properties(width=width, height=200, title=str(rule)))
    return alt.concat(*panels, columns=max(1, int(PAGE_WIDTH // (width + 70))))
