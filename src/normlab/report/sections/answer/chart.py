"""The two plots of the answer: every block's value, and the differences to a reference arm."""

from __future__ import annotations

import altair as alt
import pandas as pd

from normlab.report.charts.style import BAND, INK, MUTED, arm_axis, arrow_layers, colour_scale
from normlab.report.sections.answer.differences import DifferenceFigure
from normlab.report.sections.answer.values import ValueFigure
from normlab.report.sections.base import BLOCKS_SHOWN


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
        _spread(points, (low, high), x_scale, y, colour)
        if figure.many
        else alt.Chart(points)
        .mark_line(color=MUTED, strokeWidth=0.9, strokeOpacity=0.4, clip=True)
        .encode(x=x, y=y, detail="block:N", order="order:Q", description="line:N"),
    ]
    if not figure.crowded:
        dots = alt.Chart(inside).mark_point(size=34, filled=True, opacity=0.9)
        layers.append(dots.encode(x=x, y=y, color=colour, description="name:N"))
    layers.append(
        alt.Chart(means).mark_tick(thickness=3, height=22, opacity=1).encode(x=x, y=y, color=colour)
    )
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


def _spread(
    points: pd.DataFrame,
    limits: tuple[float, float],
    x_scale: alt.Scale,
    y: alt.Y,
    colour: alt.Color,
) -> alt.Chart:
    """A pale bar an arm, from its mean minus to its mean plus one standard deviation."""
    found = points.groupby("arm", sort=False)["value"].agg(["mean", "std"]).fillna(0.0)
    bars = pd.DataFrame(
        {
            "arm": found.index,
            "from": (found["mean"] - found["std"]).clip(*limits),
            "to": (found["mean"] + found["std"]).clip(*limits),
        }
    )
    x = alt.X("from:Q", scale=x_scale)
    bar: alt.Chart = alt.Chart(bars).mark_bar(opacity=0.25, height=18)
    return bar.encode(x=x, x2="to:Q", y=y, color=colour)


def difference_chart(figure: DifferenceFigure, width: int = 520) -> alt.TopLevelMixin:
    """Each arm's difference to the reference on a line of its own, around the band of equality."""
    low, high = figure.limits
    arms = [row.arm for row in figure.rows]
    x_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x_axis = alt.Axis(title=figure.axis_title, tickCount=7, grid=False)
    y = arm_axis(arms)
    colour = colour_scale(figure.strokes, arms, legend=False)

    means = pd.DataFrame(
        [
            {
                "arm": row.arm,
                "mean": row.mean,
                "low": low if row.low is None else max(row.low, low),
                "high": high if row.high is None else min(row.high, high),
            }
            for row in figure.rows
        ]
    )
    inside = means[means["mean"].between(low, high)]
    measured = {row.arm for row in figure.rows if row.low is not None}
    bars = means[means["arm"].isin(measured) & (means["low"] < high) & (means["high"] > low)]
    dots = pd.DataFrame(
        [
            (row.arm, value, f"{row.arm}, block {block}")
            for row in figure.rows
            for block, value in row.blocks.items()
            if len(row.blocks) <= BLOCKS_SHOWN and low <= value <= high
        ],
        columns=["arm", "value", "name"],
    )
    band = pd.DataFrame({"from": [-figure.margin], "to": [figure.margin]})

    layers: list[alt.Chart] = [
        alt.Chart(band)
        .mark_rect(color=BAND, opacity=1)
        .encode(x=alt.X("from:Q", scale=x_scale, axis=x_axis), x2="to:Q"),
        alt.Chart(pd.DataFrame({"zero": [0.0]}))
        .mark_rule(color=MUTED, strokeWidth=1)
        .encode(x=alt.X("zero:Q", scale=x_scale)),
        alt.Chart(bars)
        .mark_rule(strokeWidth=3)
        .encode(x=alt.X("low:Q", scale=x_scale, axis=x_axis), x2="high:Q", y=y, color=colour),
        alt.Chart(dots)
        .mark_tick(thickness=1.5, height=11, opacity=1)
        .encode(
            x=alt.X("value:Q", scale=x_scale, axis=x_axis), y=y, color=colour, description="name:N"
        ),
        alt.Chart(inside)
        .mark_point(size=95, filled=True, opacity=1, stroke=INK, strokeWidth=0.8)
        .encode(x=alt.X("mean:Q", scale=x_scale, axis=x_axis), y=y, color=colour),
    ]
    arrows = _arrows(figure)
    for direction, edge in (("left", low), ("right", high)):
        cut = arrows[arrows["direction"] == direction]
        if len(cut):
            layers += arrow_layers(cut, direction, edge, x_scale, y, colour)
    return alt.layer(*layers).properties(width=width, height=30 * len(arms) + 10)


def _arrows(figure: DifferenceFigure) -> pd.DataFrame:
    """Where something lies beyond an edge: a mean (with its number) or an end of an interval."""
    low, high = figure.limits
    found = []
    for row in figure.rows:
        for direction, end, mean_is_out in (
            ("left", row.low, row.mean < low),
            ("right", row.high, row.mean > high),
        ):
            end_is_out = end is not None and (end < low if direction == "left" else end > high)
            if mean_is_out or end_is_out:
                found.append((row.arm, direction, row.mean_text if mean_is_out else ""))
    return pd.DataFrame(found, columns=["arm", "direction", "text"])
