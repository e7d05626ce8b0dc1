"""Where an answer holds: every arm in every setting; a study of one setting has no such section."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.export.formats import NOTHING
from normlab.report.sections.base import (
    DrawnCharts,
    PageFigure,
    ReportContext,
    Section,
    never,
    section_template,
)
from normlab.report.sections.by_setting.chart import settings_chart
from normlab.report.sections.by_setting.data import (
    Matrix,
    SettingsFigure,
    matrix,
    settings_figure,
)
from normlab.stats.data.metrics import LABELS, format_value, unit

CHART = "where"
CAPTION = "Mean over blocks with its 95 % t interval; an arm far below the others is cut off."


@dataclass(frozen=True, eq=False)
class SettingsView:
    """The matrix of arms and settings, and the plot by batch size and optimizer."""

    matrix: Matrix
    figure: SettingsFigure | None
    metric: str


@dataclass(frozen=True, eq=False)
class SettingsContent:
    """What the template prints."""

    matrix: Matrix
    figure: PageFigure | None


def build(context: ReportContext) -> SettingsView | None:
    """None where there is one setting only: the answer table says it already."""
    rules = context.study.plan.analysis
    found = matrix(context.analysis, rules.reference)
    if found is None:
        return None
    return SettingsView(found, settings_figure(context.analysis, context.strokes), rules.metric)


def charts(view: SettingsView) -> dict[str, ChartCall]:
    """One plot of all settings, if there is a value."""
    return {} if view.figure is None else {CHART: (settings_chart, (view.figure,))}


def content(view: SettingsView, drawn: DrawnCharts) -> SettingsContent:
    """The matrix, and the plot with the numbers behind it."""
    figure, metric = view.figure, view.metric
    if figure is None:
        return SettingsContent(view.matrix, None)
    scale = 100.0 if unit(metric) == "points" else 1.0

    def text(value: float | None) -> str:
        return NOTHING if value is None else format_value(metric, value / scale)

    rows = [
        (
            *(point.rule, str(point.batch_size), point.arm),
            *(text(point.mean), text(point.low), text(point.high)),
        )
        for point in figure.points
    ]
    head = ("optimizer", "batch size", "norm", "mean", "low", "high")
    svg = drawn.inline(CHART, figure.description)
    return SettingsContent(view.matrix, PageFigure(svg, CAPTION, head, rows))


def captions(view: SettingsView) -> dict[str, FigureText]:
    """What the figure is called and means."""
    label = LABELS[view.metric].capitalize()
    return {CHART: FigureText(f"{label} by batch size and optimizer", CAPTION)}


SECTION = Section(
    name="by_setting",
    title="Where it holds",
    order=25,
    folded=never,
    template=section_template(__file__),
    build=build,
    id="where",
    content=content,
    captions=captions,
    charts=charts,
)
