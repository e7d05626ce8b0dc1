"""Ensembles out of the stored predictions, and how well they know what they know."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.export.table import Table
from normlab.report.sections.base import (
    DrawnCharts,
    Nothing,
    PageFigure,
    ReportContext,
    Section,
    section_template,
)
from normlab.report.sections.ensembles.chart import reliability_chart
from normlab.report.sections.ensembles.data import FEWEST, EnsembleView, ensemble_view

CAPTION = (
    "Accuracy against confidence: dashed the members, solid the ensemble, whose points are as "
    "large as their share of the images. Below the diagonal a network is too sure. Left out: where "
    f"fewer than {FEWEST} predictions have such a confidence."
)


@dataclass(frozen=True, eq=False)
class SettingEnsembles:
    """One setting, before anything is drawn."""

    setting: str
    slug: str
    view: EnsembleView

    @property
    def chart(self) -> str:
        """The name of its chart."""
        return f"reliability/{self.slug}"


@dataclass(frozen=True)
class EnsembleContent:
    """One setting as the template prints it."""

    setting: str
    slug: str
    table: Table
    figure: PageFigure


def build(context: ReportContext) -> tuple[SettingEnsembles, ...] | None:
    """None where no setting has two networks with predictions."""
    found = tuple(
        SettingEnsembles(
            one.setting.label, one.setting.slug, ensemble_view(tables.ensembles, context.strokes)
        )
        for one, tables in zip(context.settings, context.prediction_tables, strict=True)
        if tables.ensembles is not None
    )
    return found or None


def charts(view: tuple[SettingEnsembles, ...]) -> dict[str, ChartCall]:
    """A reliability diagram a setting."""
    return {one.chart: (reliability_chart, (one.view.figure,)) for one in view}


def tables(view: tuple[SettingEnsembles, ...]) -> tuple[Table, ...]:
    """Accuracy, loss and calibration of members and ensembles."""
    return tuple(one.view.table for one in view)


def content(view: tuple[SettingEnsembles, ...], drawn: DrawnCharts) -> tuple[EnsembleContent, ...]:
    """The table and the diagram of every setting."""
    return tuple(
        EnsembleContent(
            one.setting,
            one.slug,
            one.view.table,
            PageFigure(drawn.inline(one.chart, one.view.figure.description), CAPTION),
        )
        for one in view
    )


def nothing(context: ReportContext) -> Nothing:
    """What an ensemble would need."""
    return Nothing("An ensemble needs the predictions of two networks on the same images.")


def captions(view: tuple[SettingEnsembles, ...]) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    return {one.chart: FigureText(f"Reliability diagram: {one.setting}", CAPTION) for one in view}


SECTION = Section(
    name="ensembles",
    title="Ensembles and calibration",
    entry="Ensembles",
    order=100,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    content=content,
    captions=captions,
    charts=charts,
    tables=tables,
)
