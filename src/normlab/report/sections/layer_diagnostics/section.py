"""What went on inside the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
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
from normlab.report.sections.layer_diagnostics.chart import (
    course_chart,
    depth_chart,
    feature_chart,
)
from normlab.report.sections.layer_diagnostics.data import (
    MEASURES,
    LayerDiagnosticsFigures,
    layer_diagnostics_figures,
)

FEATURES = (
    "The penultimate features over the validation part after every epoch: 1st to 99th percentile, "
    "and darker the 20th to the 80th; medians over blocks."
)
COURSES = {
    "gate": "The gates of batch-instance normalization, the mean over the channels of each layer: "
    "1 is the batch's statistics, 0 the instance's own.",
    "mean_gap": "How far the running means, which evaluation uses, are from those of the "
    "validation part, in running standard deviations; a mean over the channels of each layer.",
}
DEPTH = (
    "From the first layer to the last, at the last epoch: the gradient of each convolution's "
    "weights in the last batch, channels that are 0 everywhere, the running means of the figure "
    "above."
)


@dataclass(frozen=True, eq=False)
class LayersView:
    """The settings that left rows, and how many there are in the study."""

    settings: tuple[LayerDiagnosticsFigures, ...]
    all_settings: int


@dataclass(frozen=True)
class LayersOfSetting:
    """One setting as the template prints it."""

    setting: str
    slug: str
    figures: tuple[PageFigure, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class LayersContent:
    """What the template prints."""

    settings: tuple[LayersOfSetting, ...]
    all_settings: int


def build(context: ReportContext) -> LayersView | None:
    """None where no run recorded its layers."""
    found = []
    for one, summaries in zip(context.settings, context.layer_summaries, strict=False):
        if summaries is not None:
            found.append(layer_diagnostics_figures(one.setting, summaries, context.strokes))
    return LayersView(tuple(found), len(context.settings)) if found else None


def charts(view: LayersView) -> dict[str, ChartCall]:
    """Features and courses over the epochs, and the layers by depth."""
    found: dict[str, ChartCall] = {}
    for one in view.settings:
        slug = one.setting.slug
        found[f"features/{slug}"] = (feature_chart, (one.features,))
        for course in one.courses:
            found[f"{course.measure}/{slug}"] = (course_chart, (course,))
        found[f"depth/{slug}"] = (depth_chart, (one.depth,))
    return found


def tables(view: LayersView) -> tuple[Table, ...]:
    """Every layer at its last epoch."""
    return tuple(one.table for one in view.settings)


def content(view: LayersView, drawn: DrawnCharts) -> LayersContent:
    """The figures of every setting with their captions."""
    return LayersContent(tuple(_figures(one, drawn) for one in view.settings), view.all_settings)


def _figures(one: LayerDiagnosticsFigures, drawn: DrawnCharts) -> LayersOfSetting:
    slug = one.setting.slug

    def figure(
        name: str,
        description: str,
        caption: str,
        head: tuple[str, ...] = (),
        rows: Sequence[tuple[str, ...]] = (),
    ) -> PageFigure:
        return PageFigure(drawn.inline(f"{name}/{slug}", description), caption, head, rows)

    features = one.features
    axes = "" if features.shared else " Each norm has an axis of its own: they are far apart."
    figures = [
        figure("features", features.description, FEATURES + axes, features.head, features.rows)
    ]
    figures += [
        figure(course.measure, course.description, COURSES[course.measure])
        for course in one.courses
    ]
    table = [tuple(cell_text(cell) for cell in row) for row in one.table.rows]
    figures.append(figure("depth", one.depth.description, DEPTH, one.table.head, table))
    return LayersOfSetting(one.setting.label, slug, tuple(figures), one.left_out)


def nothing(context: ReportContext) -> Nothing:
    """What is said where no run recorded its layers."""
    return Nothing("No run recorded what went on inside its layers.")


def captions(view: LayersView) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    found = {}
    for one in view.settings:
        slug, label = one.setting.slug, one.setting.label
        axes = "" if one.features.shared else " Each norm has an axis of its own."
        found[f"features/{slug}"] = FigureText(
            f"Features before the classifier, by epoch: {label}", FEATURES + axes
        )
        for course in one.courses:
            found[f"{course.measure}/{slug}"] = FigureText(
                f"{MEASURES[course.measure].capitalize()}, by layer and epoch: {label}",
                COURSES[course.measure],
            )
        found[f"depth/{slug}"] = FigureText(f"The layers by depth: {label}", DEPTH)
    return found


SECTION = Section(
    name="layer_diagnostics",
    title="Inside the layers",
    entry="Layers",
    id="layers",
    order=110,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    content=content,
    captions=captions,
    charts=charts,
    tables=tables,
)
