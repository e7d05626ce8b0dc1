"""How accuracy falls as the test images change, out of what `normlab stress` recorded."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.errors import StorageError
from normlab.records.robustness import read_robustness
from normlab.report.charts.parallel_drawing import ChartCall
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
from normlab.report.sections.robustness.chart import robustness_chart
from normlab.report.sections.robustness.data import RobustnessView, robustness_view
from normlab.stats.summary.robustness import robustness_table

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


def build(context: ReportContext) -> tuple[RobustnessView, ...] | None:
    """None where nothing was measured, or the rows cannot be read."""
    rules = context.study.plan.analysis
    try:
        rows = read_robustness(context.study.folder)
    except StorageError:
        return None
    tables = (
        robustness_table(layout, rows, rules.reference, rules.alpha) for layout in context.layouts
    )
    found = tuple(robustness_view(t, context.strokes) for t in tables if t is not None)
    return found or None


def charts(view: tuple[RobustnessView, ...]) -> dict[str, ChartCall]:
    """Accuracy by strength, a chart a setting."""
    return {_chart(one): (robustness_chart, (one.figure,)) for one in view}


def tables(view: tuple[RobustnessView, ...]) -> tuple[Table, ...]:
    """Losses under each change, and accuracies by the statistics of other batches."""
    return tuple(table for one in view for table in (one.losses, one.batches) if table is not None)


def content(view: tuple[RobustnessView, ...], drawn: DrawnCharts) -> tuple[RobustnessContent, ...]:
    """The sentence, the figure and its table, for every setting."""
    return tuple(
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
        for one in view
    )


def nothing(context: ReportContext) -> Nothing:
    """Why the rows cannot be read, or how to get some."""
    try:
        read_robustness(context.study.folder)
    except StorageError as error:
        return Nothing(f"{error}.", is_note=True)
    return Nothing(
        "Not tried yet. To see how accuracy falls as the test images change:",
        f"normlab stress {context.study_folder}",
    )


def _chart(one: RobustnessView) -> str:
    return f"stress/{one.table.setting.slug}"


SECTION = Section(
    name="robustness",
    title="Where it breaks",
    id="stress",
    order=120,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    content=content,
    charts=charts,
    tables=tables,
    in_regrouping=False,
)
