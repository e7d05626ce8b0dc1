"""The answer of every setting: the table seen from each arm, and the plots of the blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import sheet
from normlab.report.export.formats import NOTHING
from normlab.report.export.table import Table
from normlab.report.sections.answer.chart import difference_chart, value_chart
from normlab.report.sections.answer.data import (
    Answer,
    answer,
    answer_table,
    block_table,
    how_to_read,
    perspective,
    references,
)
from normlab.report.sections.answer.differences import DifferenceFigure, difference_figure
from normlab.report.sections.answer.values import ValueFigure, value_figure
from normlab.report.sections.base import (
    DrawnCharts,
    PageFigure,
    ReportContext,
    Section,
    section_template,
)
from normlab.stats.data.metrics import format_difference, unit
from normlab.stats.summary.analysis import SettingAnalysis

VALUE_CAPTION = (
    "Every dot is one run; a thin line joins the runs of one block, the upright bar is the mean. "
    "An arrow points to runs beyond the axis; a number beside it is a mean that lies there."
)


@dataclass(frozen=True, eq=False)
class SettingAnswer:
    """One setting, before anything is drawn."""

    analysis: SettingAnalysis
    values: ValueFigure | None
    differences: Mapping[str, DifferenceFigure]
    """Differences by the arm that they are seen from, the plan's reference first."""
    numbers: Mapping[str, int]
    """Numbers of the arms, for the names of charts: an arm may be called anything."""

    @property
    def value_name(self) -> str:
        """The name of the chart of values."""
        return f"values/{self.analysis.setting.slug}"

    def difference_name(self, reference: str) -> str:
        """The name of the chart of differences to an arm."""
        return f"differences/{self.analysis.setting.slug}/{self.numbers[reference]}"


@dataclass(frozen=True, eq=False)
class AnswerView:
    """Every setting, and how to read it."""

    settings: tuple[SettingAnswer, ...]
    reading: tuple[str, ...]
    """A paragraph each."""


@dataclass(frozen=True, eq=False)
class AnswerContent:
    """What the template prints."""

    answers: tuple[Answer, ...]
    reading: tuple[str, ...]


def build(context: ReportContext) -> AnswerView:
    """The plain data of both plots, for every setting."""
    strokes = context.strokes
    numbers = {arm: number for number, arm in enumerate(strokes)}
    settings = []
    for setting in context.settings:
        differences = {
            reference: figure
            for reference in filter(None, references(setting))
            if (figure := difference_figure(setting, strokes, reference)) is not None
        }
        values = value_figure(setting, strokes)
        settings.append(SettingAnswer(setting, values, differences, numbers))
    return AnswerView(tuple(settings), how_to_read(context.analysis))


def charts(view: AnswerView) -> dict[str, ChartCall]:
    """The values of each setting, and the differences seen from each of its arms."""
    found: dict[str, ChartCall] = {}
    for one in view.settings:
        if one.values is not None:
            found[one.value_name] = (value_chart, (one.values,))
        for reference, figure in one.differences.items():
            found[one.difference_name(reference)] = (difference_chart, (figure,))
    return found


def figures(view: AnswerView, drawn: DrawnCharts) -> dict[str, str]:
    """For a paper: values above differences to the plan's reference, on one sheet a setting."""
    found = {}
    for one in view.settings:
        parts = [("", drawn.svgs[one.value_name])] if one.values is not None else []
        first = list(one.differences)[:1]
        parts += [("", drawn.svgs[one.difference_name(reference)]) for reference in first]
        if parts:
            setting = one.analysis.setting
            found[f"answer-{setting.slug}"] = sheet(setting.label, parts)
    return found


def tables(view: AnswerView) -> tuple[Table, ...]:
    """The answer of every setting, seen from the plan's reference."""
    return tuple(
        answer_table(one.analysis, perspective(one.analysis, one.analysis.verdict.reference, None))
        for one in view.settings
    )


def content(view: AnswerView, drawn: DrawnCharts) -> AnswerContent:
    """The answers with their drawn plots."""
    return AnswerContent(tuple(_answer(one, drawn) for one in view.settings), view.reading)


def _answer(one: SettingAnswer, drawn: DrawnCharts) -> Answer:
    values = None
    if one.values is not None:
        head, rows = block_table(one.analysis)
        svg = drawn.inline(one.value_name, one.values.description, marks=True)
        values = PageFigure(svg, VALUE_CAPTION, head, rows)
    differences = {
        reference: difference_view(
            figure,
            drawn.inline(one.difference_name(reference), figure.description, marks=True),
            reference,
            one.analysis,
        )
        for reference, figure in one.differences.items()
    }
    return answer(one.analysis, values, differences)


def difference_view(
    figure: DifferenceFigure, svg: Markup, reference: str, analysis: SettingAnalysis
) -> PageFigure:
    """The difference plot with its caption and the differences of every block."""
    metric = analysis.verdict.metric
    margin = format_difference(metric, analysis.verdict.margin).removeprefix("+")
    caption = (
        f"Difference to {reference}: the point is the mean over blocks, the bar its interval, each "
        f"tick one block. The grey band is practical equality (±{margin} {unit(metric)}); an arrow "
        "points to what lies beyond the axis."
    )
    scale = 100.0 if unit(metric) == "points" else 1.0
    rows = [
        (
            str(block),
            *(
                format_difference(metric, row.blocks[block] / scale)
                if block in row.blocks
                else NOTHING
                for row in figure.rows
            ),
        )
        for block in analysis.table.blocks
    ]
    return PageFigure(svg, caption, ("block", *(row.arm for row in figure.rows)), rows)


SECTION = Section(
    name="answer",
    title="Answer",
    order=20,
    template=section_template(__file__),
    build=build,
    content=content,
    charts=charts,
    figures=figures,
    tables=tables,
)
