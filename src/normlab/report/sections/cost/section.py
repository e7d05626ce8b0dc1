"""What an arm costs and what it gives for it."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.sections.base import (
    DrawnCharts,
    PageFigure,
    ReportContext,
    Rows,
    Section,
    section_template,
)
from normlab.report.sections.cost.chart import cost_chart
from normlab.report.sections.cost.data import HEAD, CostFigure, CostRow, cost_figure, cost_rows
from normlab.stats.data.metrics import LABELS

CAPTION = (
    "Further left is quicker, further up is better; the dashed line joins the arms that no other "
    "arm beats in both."
)


@dataclass(frozen=True, eq=False)
class SettingCost:
    """One setting, before anything is drawn."""

    setting: str
    slug: str
    metric: str
    rows: tuple[CostRow, ...]
    figure: CostFigure | None

    @property
    def chart(self) -> str:
        """The name of its chart."""
        return f"cost/{self.slug}"


@dataclass(frozen=True)
class CostContent:
    """One setting as the template prints it."""

    setting: str
    slug: str
    figure: PageFigure | None
    head: tuple[str, ...]
    rows: Rows


def build(context: ReportContext) -> tuple[SettingCost, ...]:
    """Times, parameters and the Pareto front of every setting."""
    found = []
    for one, layout in zip(context.settings, context.layouts, strict=True):
        rows = cost_rows(one, layout)
        figure = cost_figure(one, rows, context.strokes)
        setting = one.setting
        found.append(SettingCost(setting.label, setting.slug, one.verdict.metric, rows, figure))
    return tuple(found)


def charts(view: tuple[SettingCost, ...]) -> dict[str, ChartCall]:
    """Value against time, where two arms have both."""
    return {one.chart: (cost_chart, (one.figure,)) for one in view if one.figure is not None}


def content(view: tuple[SettingCost, ...], drawn: DrawnCharts) -> tuple[CostContent, ...]:
    """The plot and the table of every setting."""
    found = []
    for one in view:
        rows = [row.texts(one.metric) for row in one.rows]
        figure = None
        if one.figure is not None:
            figure = PageFigure(drawn.inline(one.chart, one.figure.description), CAPTION)
        head = tuple(LABELS[one.metric] if name == "value" else name for name in HEAD)
        found.append(CostContent(one.setting, one.slug, figure, head, rows))
    return tuple(found)


def captions(view: tuple[SettingCost, ...]) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    return {one.chart: FigureText(f"Cost: {one.setting}", CAPTION) for one in view}


SECTION = Section(
    name="cost",
    title="Cost",
    order=80,
    template=section_template(__file__),
    build=build,
    content=content,
    captions=captions,
    charts=charts,
)
