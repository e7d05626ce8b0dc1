"""Accuracy over learning rate for every arm, from all points of its tuning."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.export.table import Table
from normlab.report.sections.base import (
    DrawnCharts,
    PageFigure,
    ReportContext,
    Section,
    section_template,
)
from normlab.report.sections.rate_curves.chart import rate_chart
from normlab.report.sections.rate_curves.data import RateView, rate_view
from normlab.stats.summary.rate_curves import rate_curves

CAPTION = (
    "The line is smoothed over the tuning points (dots) of all blocks, the band its 95 % interval "
    "over blocks; ticks below mark the rates that each arm was given."
)


@dataclass(frozen=True)
class RateContent:
    """One setting as the template prints it."""

    setting: str
    slug: str
    sentence: str
    figure: PageFigure
    table: Table


def build(context: ReportContext) -> tuple[RateView, ...] | None:
    """None where no learning rate was tuned."""
    by_label = {setting.setting.label: setting.setting for setting in context.settings}
    found = tuple(
        rate_view(curves, by_label[curves.setting], context.strokes)
        for curves in rate_curves(context.study.tuning_results, context.study.runs)
        if curves.setting in by_label
    )
    return found or None


def charts(view: tuple[RateView, ...]) -> dict[str, ChartCall]:
    """A chart a setting."""
    return {_chart(one): (rate_chart, (one.figure,)) for one in view}


def tables(view: tuple[RateView, ...]) -> tuple[Table, ...]:
    """The curves read at a few rates."""
    return tuple(one.table for one in view)


def content(view: tuple[RateView, ...], drawn: DrawnCharts) -> tuple[RateContent, ...]:
    """The sentence, the figure and the table of every setting."""
    return tuple(
        RateContent(
            one.setting,
            one.slug,
            one.sentence,
            PageFigure(drawn.inline(_chart(one), one.figure.description), CAPTION),
            one.table,
        )
        for one in view
    )


def _chart(one: RateView) -> str:
    return f"rate-curves/{one.slug}"


def captions(view: tuple[RateView, ...]) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    return {
        _chart(one): FigureText(f"Accuracy by learning rate: {one.setting}", CAPTION)
        for one in view
    }


SECTION = Section(
    name="rate_curves",
    title="How each arm bears the learning rate",
    entry="Learning rates",
    id="rates",
    order=65,
    template=section_template(__file__),
    build=build,
    content=content,
    captions=captions,
    charts=charts,
    tables=tables,
)
