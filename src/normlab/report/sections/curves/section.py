"""The learning curves: a thin line a block, a bold median an arm, for train and validation."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from normlab.report.charts.colours import Stroke
from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import sheet
from normlab.report.sections.base import (
    DrawnCharts,
    Nothing,
    ReportContext,
    Rows,
    Section,
    never,
    section_template,
)
from normlab.report.sections.curves.axes import Axes, as_data, curve_axes, units
from normlab.report.sections.curves.chart import panel_chart
from normlab.report.sections.curves.data import CurveFigure, curve_figure, curve_table
from normlab.stats.data.curves import setting_curves
from normlab.stats.summary.split import curves_note

SINGLE_PANELS = 2
"""Settings whose panels are files by themselves too: the first ones; each file takes half a
second."""


@dataclass(frozen=True, eq=False)
class SettingCurves:
    """One setting, before anything is drawn."""

    setting: str
    slug: str
    figure: CurveFigure
    axes: Axes

    def chart(self, number: int) -> str:
        """The name of a panel's chart: that of its twin, where the two show the same."""
        twin = self.figure.panels[number].twin
        return f"curves/{self.slug}/{number if twin is None else twin}"


@dataclass(frozen=True, eq=False)
class CurvesView:
    """Every setting with an epoch, and the units that the axis can have."""

    settings: tuple[SettingCurves, ...]
    units: tuple[str, ...]
    strokes: dict[str, Stroke]
    note: str
    """What the parts are, in words."""


@dataclass(frozen=True)
class Panel:
    """One panel as the template prints it."""

    metric: str
    part: str
    svg: Markup


@dataclass(frozen=True)
class PanelsOfSetting:
    """The panels of one setting, with the medians behind them."""

    setting: str
    slug: str
    arms: tuple[str, ...]
    panels: tuple[Panel, ...]
    many: bool
    """Whether a band stands in place of the lines of the blocks, until one is followed."""
    same: tuple[str, ...]
    """Which metrics are not drawn because another one shows the same, a sentence each."""
    head: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True, eq=False)
class CurvesContent:
    """What the template prints."""

    settings: tuple[PanelsOfSetting, ...]
    units: tuple[str, ...]
    note: str
    """What the lines and parts are."""


def build(context: ReportContext) -> CurvesView | None:
    """None where no run has finished an epoch."""
    numbers = {arm: number for number, arm in enumerate(context.strokes)}
    strokes = dict(context.strokes)
    settings = [
        SettingCurves(
            one.setting.label,
            one.setting.slug,
            curve_figure(one, setting_curves(layout), strokes),
            curve_axes(layout, numbers),
        )
        for one, layout in zip(context.settings, context.layouts, strict=True)
    ]
    shown = tuple(one for one in settings if not one.figure.is_empty)
    if not shown:
        return None
    note = curves_note(context.study.data)
    return CurvesView(shown, units([one.axes for one in settings]), strokes, note)


def charts(view: CurvesView) -> dict[str, ChartCall]:
    """Every panel that is no twin of an earlier one."""
    return {
        one.chart(number): (panel_chart, (panel, one.figure.frame))
        for one in view.settings
        for number, panel in enumerate(one.figure.panels)
        if panel.twin is None
    }


def figures(view: CurvesView, drawn: DrawnCharts) -> dict[str, str]:
    """All panels of a setting on one sheet, and of the first settings each panel by itself."""
    found = {}
    for place, one in enumerate(view.settings):
        legend = {arm: view.strokes[arm] for arm in one.figure.arms}
        note = f"{lines_note(one.figure)} {drawn.n}"
        panels = [
            (panel.heading, drawn.svgs[one.chart(number)])
            for number, panel in enumerate(one.figure.panels)
        ]
        name = f"curves-{one.slug}"
        found[name] = sheet(one.figure.title, panels, columns=2, legend=legend, note=note)
        for panel, part in zip(one.figure.panels, panels, strict=True):
            if place < SINGLE_PANELS:
                single = f"{name}-{panel.metric.replace('_', '-')}-{panel.part}"
                found[single] = sheet(one.figure.title, [part], legend=legend, note=note)
    return found


def lines_note(figure: CurveFigure) -> str:
    """What the lines of a figure are."""
    if any(panel.many for panel in figure.panels):
        return "Bold: the median over blocks; band: from their 10th to their 90th percentile."
    return "Bold: the median over blocks; thin: each block."


def content(view: CurvesView, drawn: DrawnCharts) -> CurvesContent:
    """The panels of every setting, and their medians at some epochs."""
    settings = tuple(_panels(one, drawn) for one in view.settings)
    lines = lines_note(view.settings[0].figure)
    return CurvesContent(settings, view.units, f"{lines} {view.note}")


def _panels(one: SettingCurves, drawn: DrawnCharts) -> PanelsOfSetting:
    figure = one.figure
    panels = []
    for number, panel in enumerate(figure.panels):
        description = (
            f"{panel.axis_title}, {panel.part}, for {', '.join(figure.arms)}; the medians are in "
            "the table behind the curves"
        )
        if panel.twin is not None:
            continue
        svg = drawn.inline(one.chart(number), description, marks=True)
        panels.append(Panel(panel.axis_title, panel.part, svg))
    head, rows = curve_table(figure)
    return PanelsOfSetting(
        one.setting,
        one.slug,
        figure.arms,
        tuple(panels),
        any(panel.many for panel in figure.panels),
        figure.same,
        head,
        rows,
    )


def script_data(view: CurvesView) -> dict[str, object]:
    """The other units of the horizontal axis."""
    return {"axes": {one.slug: as_data(one.axes) for one in view.settings}}


def nothing(context: ReportContext) -> Nothing:
    """What is said before the first epoch."""
    return Nothing("No epoch has been finished yet.")


SECTION = Section(
    name="curves",
    title="Learning curves",
    entry="Curves",
    order=30,
    folded=never,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    content=content,
    charts=charts,
    figures=figures,
    script_data=script_data,
)
