"""How accuracy falls as the test images change, out of what `normlab stress` recorded."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.errors import StorageError
from normlab.records.robustness import ROBUSTNESS, read_robustness
from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.explanation import FOLDER
from normlab.report.export.formats import cell_text
from normlab.report.export.table import Table
from normlab.report.sections.base import (
    DrawnCharts,
    Nothing,
    PageFigure,
    ReportContext,
    Section,
    section_template,
)
from normlab.report.sections.gallery.data import embedded
from normlab.report.sections.robustness.chart import robustness_chart
from normlab.report.sections.robustness.data import RobustnessView, robustness_view
from normlab.stats.summary.robustness import robustness_table
from normlab.text import shell_command

WITHHELD = (
    "Nothing was learned (every arm is at chance level), so no change of the images can take "
    "anything away: what was measured is not shown here, and is in stress.jsonl."
)
STRIP = 560
"""Pixels of a strip's longer side."""
CAPTION = (
    "Means over blocks with 95 % t intervals; 0 is the image as it is. What the strengths are is "
    "said in docs/explain.md."
)


@dataclass(frozen=True)
class RobustnessContent:
    """One setting as the template prints it."""

    setting: str
    slug: str
    sentence: str
    figure: PageFigure
    batches: Table | None


@dataclass(frozen=True)
class Strip:
    """One image under one change, embedded."""

    change: str
    strengths: tuple[str, ...]
    address: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class RobustnessPage:
    """What was measured, and what the changes look like."""

    settings: tuple[RobustnessView, ...]
    strips: tuple[Strip, ...]
    withheld: str = ""
    """Why nothing is shown of what was measured; empty else."""
    command: str = ""
    """What measures it; empty where it was measured."""


@dataclass(frozen=True)
class RobustnessPageContent:
    """What the template prints."""

    settings: tuple[RobustnessContent, ...]
    strips: tuple[Strip, ...]
    withheld: str
    command: str


def build(context: ReportContext) -> RobustnessPage | None:
    """None where nothing was measured and no image of the changes is there."""
    if all(one.verdict.arms and set(one.verdict.arms) <= one.at_chance for one in context.settings):
        measured = (context.study.folder / ROBUSTNESS).exists()
        return RobustnessPage((), (), WITHHELD) if measured and context.settings else None
    rules = context.study.plan.analysis
    try:
        rows = read_robustness(context.study.folder)
    except StorageError:
        return None
    tables = (
        robustness_table(layout, rows, rules.reference, rules.alpha) for layout in context.layouts
    )
    found = tuple(robustness_view(t, context.strokes) for t in tables if t is not None)
    strips = _strips(context)
    if not found and not strips:
        return None
    return RobustnessPage(found, strips, command="" if found else _command(context))


def _strips(context: ReportContext) -> tuple[Strip, ...]:
    """The changes that the pictures of the study show."""
    explanation = context.explanation
    found = []
    for one in explanation.corruptions if explanation is not None else ():
        picture = embedded(context.study.folder / FOLDER / one.picture, one.change, STRIP)
        if picture is not None:
            found.append(
                Strip(one.change, one.strengths, picture.address, picture.width, picture.height)
            )
    return tuple(found)


def charts(view: RobustnessPage) -> dict[str, ChartCall]:
    """Accuracy by strength, a chart a setting."""
    return {_chart(one): (robustness_chart, (one.figure,)) for one in view.settings}


def tables(view: RobustnessPage) -> tuple[Table, ...]:
    """Losses under each change, and accuracies by the statistics of other batches."""
    return tuple(
        table for one in view.settings for table in (one.losses, one.batches) if table is not None
    )


def content(view: RobustnessPage, drawn: DrawnCharts) -> RobustnessPageContent:
    """The sentence, the figure and its table, for every setting; and what changes look like."""
    settings = tuple(
        RobustnessContent(
            one.table.setting.label,
            one.table.setting.slug,
            one.sentence,
            PageFigure(
                drawn.inline(_chart(one), one.figure.description),
                CAPTION,
                one.losses.head,
                [tuple(cell_text(cell) for cell in row) for row in one.losses.rows],
            ),
            one.batches,
        )
        for one in view.settings
    )
    return RobustnessPageContent(settings, view.strips, view.withheld, view.command)


def nothing(context: ReportContext) -> Nothing:
    """Why the rows cannot be read, or how to get some."""
    try:
        read_robustness(context.study.folder)
    except StorageError as error:
        return Nothing(str(error), is_note=True)  # it ends with a command
    return Nothing(
        "Not tried yet. To see how accuracy falls as the test images change:", _command(context)
    )


def _command(context: ReportContext) -> str:
    return shell_command("stress", context.study_folder)


def _chart(one: RobustnessView) -> str:
    return f"stress/{one.table.setting.slug}"


def captions(view: RobustnessPage) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    return {
        _chart(one): FigureText(
            f"Accuracy as the test images change: {one.table.setting.label}",
            "Means over blocks with 95 % t intervals; 0 is the image as it is, 5 the strongest.",
        )
        for one in view.settings
    }


SECTION = Section(
    name="robustness",
    title="Where it breaks: changed images",
    entry="Where it breaks",
    id="stress",
    order=120,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    content=content,
    captions=captions,
    charts=charts,
    tables=tables,
    in_regrouping=False,
)
