"""Curves and tables of one norm at a time, a line and a row a level of another factor."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import sheet
from normlab.report.export.table import Table
from normlab.report.sections.base import DrawnCharts, ReportContext, Section, section_template
from normlab.report.sections.by_factor.data import FactorGroup, factor_groups
from normlab.report.sections.curves.chart import panel_chart
from normlab.report.sections.curves.section import Panel

MAX_FIGURES = 12
"""Groups whose curves are drawn: the first ones; the tables are there for all."""


@dataclass(frozen=True, eq=False)
class FactorView:
    """Every group, and those whose curves are drawn."""

    groups: tuple[FactorGroup, ...]
    drawn: tuple[FactorGroup, ...]


@dataclass(frozen=True)
class GroupContent:
    """One group as the template prints it."""

    group: FactorGroup
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class FactorContent:
    """What the template prints."""

    groups: tuple[GroupContent, ...]
    note: str


def build(context: ReportContext) -> FactorView | None:
    """None where nothing but the compared factor varies, or nothing was recorded."""
    groups = factor_groups(context.study)
    with_curves = [group for group in groups if not group.figure.is_empty]
    return FactorView(groups, tuple(with_curves[:MAX_FIGURES])) if groups else None


def charts(view: FactorView) -> dict[str, ChartCall]:
    """Every panel that is no twin of an earlier one, medians alone."""
    return {
        _chart(group, number): (panel_chart, (panel, group.figure.frame, False))
        for group in view.drawn
        for number, panel in enumerate(group.figure.panels)
        if panel.twin is None
    }


def figures(view: FactorView, drawn: DrawnCharts) -> dict[str, str]:
    """All panels of a group on one sheet with a legend."""
    found = {}
    for group in view.drawn:
        panels = [
            (panel.heading, drawn.svgs[_chart(group, number)])
            for number, panel in enumerate(group.figure.panels)
        ]
        legend = dict(group.strokes)
        note = f"A line is the median over blocks. {drawn.n}"
        found[group.figure.slug] = sheet(group.figure.title, panels, 2, legend, note)
    return found


def tables(view: FactorView) -> tuple[Table, ...]:
    """Training and test of every group."""
    return tuple(table for group in view.groups for table in group.tables)


def content(view: FactorView, drawn: DrawnCharts) -> FactorContent:
    """The panels and tables of every group."""
    shown = set(map(id, view.drawn))
    groups = tuple(
        GroupContent(group, _panels(group, drawn) if id(group) in shown else ())
        for group in view.groups
    )
    left = len(view.groups) - len(view.drawn)
    note = "A line is the median over blocks."
    if left:
        note += (
            f" Curves are drawn for {len(view.drawn)} of {len(view.groups)} groups; the tables "
            "are there for all."
        )
    return FactorContent(groups, note)


def _panels(group: FactorGroup, drawn: DrawnCharts) -> tuple[Panel, ...]:
    found = []
    for number, panel in enumerate(group.figure.panels):
        description = (
            f"{panel.axis_title}, {panel.part}, {group.label}, for {', '.join(group.levels)}"
        )
        if panel.twin is None:
            svg = drawn.inline(_chart(group, number), description, shared=True)
        else:
            svg = drawn.again(_chart(group, number), description)
        found.append(Panel(panel.axis_title, panel.part, svg))
    return tuple(found)


def _chart(group: FactorGroup, number: int) -> str:
    """The name of a panel's chart: that of its twin, where the two show the same."""
    twin = group.figure.panels[number].twin
    return f"by-factor/{group.slug}/{number if twin is None else twin}"


SECTION = Section(
    name="by_factor",
    title="One arm at a time, by batch size, optimizer and other factors",
    entry="By factor",
    id="by-factor",
    order=62,
    template=section_template(__file__),
    build=build,
    content=content,
    charts=charts,
    figures=figures,
    tables=tables,
    in_regrouping=False,
)
