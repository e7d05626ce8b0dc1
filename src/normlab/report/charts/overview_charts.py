"""The charts beside curves and differences: values, settings, cost, classes; see charts.py."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from normlab.report.charts.charts import INK, MUTED, arm_axis, arrow_layers, colour_scale
from normlab.report.sections.by_setting import WhereFigure
from normlab.report.sections.cost import CostFigure
from normlab.report.sections.per_class import ConfusionFigure, RecallFigure
from normlab.report.sections.values import ValueFigure

PAGE_WIDTH = 760
"""Points across which panels may stand side by side, beside a legend."""


def value_chart(figure: ValueFigure, width: int = 520) -> alt.TopLevelMixin:
    """A line of its own for each arm; the values of a block are joined from arm to arm."""
    low, high = figure.limits
    arms = [row.arm for row in figure.rows]
    x_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x = alt.X(
        "value:Q",
        scale=x_scale,
        axis=alt.Axis(title=figure.axis_title, tickCount=7, grid=False),
    )
    y = arm_axis(arms)
    colour = colour_scale(figure.strokes, arms, legend=False)
    points = pd.DataFrame(
        [
            (row.arm, order, block, value, f"{row.arm}, block {block}", f"block {block}")
            for order, row in enumerate(figure.rows)
            for block, value in row.blocks.items()
        ],
        columns=["arm", "order", "block", "value", "name", "line"],
    )
    inside = points[points["value"].between(low, high)]
    means = pd.DataFrame(
        [(row.arm, row.mean) for row in figure.rows if low <= row.mean <= high],
        columns=["arm", "value"],
    )
    layers: list[alt.Chart] = [
        alt.Chart(points)
        .mark_line(color=MUTED, strokeWidth=0.9, strokeOpacity=0.4, clip=True)
        .encode(x=x, y=y, detail="block:N", order="order:Q", description="line:N"),
        alt.Chart(inside)
        .mark_point(size=34, filled=True, opacity=0.9)
        .encode(x=x, y=y, color=colour, description="name:N"),
        alt.Chart(means)
        .mark_tick(thickness=3, height=22, opacity=1)
        .encode(x=x, y=y, color=colour),
    ]
    beyond = [
        (row.arm, side, row.mean_text if mean_out else "")
        for row in figure.rows
        for side, mean_out, any_out in (
            ("left", row.mean < low, min(row.blocks.values()) < low),
            ("right", row.mean > high, max(row.blocks.values()) > high),
        )
        if any_out
    ]
    for side, edge in (("left", low), ("right", high)):
        cut = pd.DataFrame(
            [one for one in beyond if one[1] == side], columns=["arm", "direction", "text"]
        )
        if len(cut):
            layers += arrow_layers(cut, side, edge, x_scale, y, colour)
    return alt.layer(*layers).properties(width=width, height=30 * len(arms) + 10)


def where_chart(figure: WhereFigure) -> alt.TopLevelMixin:
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
