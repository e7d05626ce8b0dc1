"""The answer of every setting: the table seen from each arm, and the plots of the blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import sheet
from normlab.report.export.table import Table
from normlab.report.sections.answer.chart import difference_chart, value_chart
from normlab.report.sections.answer.data import (
    Answer,
    answer,
    answer_table,
    block_table,
    blocks_csv,
    difference_note,
    difference_table,
    how_to_read,
    perspective,
    references,
)
from normlab.report.sections.answer.differences import DifferenceFigure, difference_figure
from normlab.report.sections.answer.sentence import Sentence, sentence
from normlab.report.sections.answer.values import ValueFigure, value_figure
from normlab.report.sections.base import (
    BLOCKS_SHOWN,
    DrawnCharts,
    PageFigure,
    ReportContext,
    Section,
    never,
    section_template,
)
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.text import shell_command


@dataclass(frozen=True, eq=False)
class SettingAnswer:
    """One setting, before anything is drawn."""

    analysis: SettingAnalysis
    values: ValueFigure | None
    differences: Mapping[str, DifferenceFigure]
    """Differences by the arm that they are seen from, the plan's reference first."""

    sentence: Sentence

    @property
    def value_name(self) -> str:
        """The name of the chart of values."""
        return f"values/{self.analysis.setting.slug}"

    @property
    def crowded(self) -> bool:
        """Whether there are too many blocks for a row each in the page: a file has them."""
        return len(self.analysis.table.blocks) > BLOCKS_SHOWN

    @property
    def blocks_file(self) -> str:
        """The file with a row a block, in the folder of the report."""
        return f"tables/blocks-{self.analysis.setting.slug}.csv"

    @property
    def difference_name(self) -> str:
        """The name of the chart of differences to the plan's reference."""
        return f"differences/{self.analysis.setting.slug}"


@dataclass(frozen=True)
class Use:
    """The network to use."""

    arm: str
    run: str
    """Its folder as the user would type it."""
    block: int
    """Counted from 1."""

    @property
    def commands(self) -> tuple[str, ...]:
        """What can be done with it, to be pasted into a shell."""
        return tuple(shell_command(verb, self.run, "one.jpg") for verb in ("predict", "explain"))


@dataclass(frozen=True, eq=False)
class AnswerView:
    """Every setting, and how to read it."""

    settings: tuple[SettingAnswer, ...]
    reading: tuple[str, ...]
    """A paragraph each."""
    use: Use | None
    """None where no arm can be recommended."""


@dataclass(frozen=True, eq=False)
class AnswerContent:
    """What the template prints."""

    answers: tuple[Answer, ...]
    reading: tuple[str, ...]
    use: Use | None


def build(context: ReportContext) -> AnswerView:
    """The plain data of both plots, for every setting."""
    strokes = context.strokes
    settings = []
    for setting in context.settings:
        differences = {
            reference: figure
            for reference in filter(None, references(setting))
            if (figure := difference_figure(setting, strokes, reference)) is not None
        }
        values = value_figure(setting, strokes)
        said = sentence(setting, context.study_folder)
        settings.append(SettingAnswer(setting, values, differences, said))
    run = context.recommended_run
    use = None
    if run is not None:
        folder = f"{context.study_folder}/runs/{run.folder.name}"
        use = Use(run.spec.arm, folder, run.spec.block + 1)
    return AnswerView(tuple(settings), how_to_read(context.analysis), use)


def charts(view: AnswerView) -> dict[str, ChartCall]:
    """The values of each setting, and the differences seen from each of its arms."""
    found: dict[str, ChartCall] = {}
    for one in view.settings:
        if one.values is not None:
            found[one.value_name] = (value_chart, (one.values,))
    return found


def paper_charts(view: AnswerView) -> dict[str, ChartCall]:
    """The differences to the plan's reference; the page lays them out by itself."""
    return {
        one.difference_name: (difference_chart, (figure,))
        for one in view.settings
        for figure in list(one.differences.values())[:1]
    }


def figures(view: AnswerView, drawn: DrawnCharts) -> dict[str, str]:
    """Values above differences to the plan's reference on one sheet a setting, and each alone."""
    found = {}
    for one in view.settings:
        setting = one.analysis.setting
        titles, parts, notes = [], [], []
        if one.values is not None:
            titles.append("Every block")
            parts.append(("", drawn.svgs[one.value_name]))
            notes.append(one.values.caption)
            found[f"values-{setting.slug}"] = sheet(
                f"{titles[0]}: {setting.label}", parts, note=f"{notes[0]} {drawn.n}"
            )
        for reference, figure in list(one.differences.items())[:1]:
            titles.append(f"differences to {reference}")
            parts.append(("", drawn.svgs[one.difference_name]))
            notes.append(difference_note(figure, one.analysis))
            found[f"differences-{setting.slug}"] = sheet(
                f"D{titles[-1][1:]}: {setting.label}", parts[-1:], note=f"{notes[-1]} {drawn.n}"
            )
        if parts:
            title = f"{' and '.join(titles)}: {setting.label}"
            note = " ".join((*notes, drawn.n))
            found[f"answer-{setting.slug}"] = sheet(title, parts, note=note)
    return found


def tables(view: AnswerView) -> tuple[Table, ...]:
    """The answer of every setting, seen from the plan's reference."""
    return tuple(
        answer_table(one.analysis, perspective(one.analysis, one.analysis.verdict.reference))
        for one in view.settings
    )


def texts(view: AnswerView) -> dict[str, str]:
    """The values of every block, of settings that have too many for the page."""
    return {one.blocks_file: blocks_csv(one.analysis) for one in view.settings if one.crowded}


def content(view: AnswerView, drawn: DrawnCharts) -> AnswerContent:
    """The answers with their drawn plots."""
    return AnswerContent(
        tuple(_answer(one, drawn) for one in view.settings), view.reading, view.use
    )


def _answer(one: SettingAnswer, drawn: DrawnCharts) -> Answer:
    values = None
    if one.values is not None:
        head, rows = block_table(one.analysis)
        svg = drawn.inline(one.value_name, one.values.description, marks=True)
        values = PageFigure(svg, one.values.caption, head, () if one.crowded else rows)
    behind = {
        reference: difference_table(figure, one.analysis)
        for reference, figure in one.differences.items()
        if not one.crowded
    }
    file = one.blocks_file if one.crowded else ""
    return answer(one.analysis, one.sentence, values, behind, file)


SECTION = Section(
    name="answer",
    title="Answer",
    order=20,
    folded=never,
    template=section_template(__file__),
    build=build,
    of_own=True,
    content=content,
    charts=charts,
    paper_charts=paper_charts,
    figures=figures,
    tables=tables,
    texts=texts,
)
