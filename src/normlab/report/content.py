"""The content of the page, put together from the records, the analysis and the drawn figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from normlab._version import __version__
from normlab.report.answers import answer
from normlab.report.colours import Stroke
from normlab.report.figures import CurveFigure
from normlab.report.page import (
    CurvesView,
    PageContent,
    PageFigure,
    PanelView,
    findings_first,
)
from normlab.report.provenance import facts, missing_items, next_step, provenance, run_rows
from normlab.report.tables import Table
from normlab.stats.analysis import Analysis
from normlab.stats.metrics import LABELS, format_difference, unit
from normlab.stats.reading import StudyRecords
from normlab.stats.setting import Setting


def page_content(
    study: StudyRecords,
    analysis: Analysis,
    strokes: Mapping[str, Stroke],
    tables: Sequence[Table],
    difference_figures: Mapping[Setting, PageFigure],
    curve_views: Sequence[CurvesView],
) -> PageContent:
    """Everything that the template prints, as text."""
    step, command = next_step(study, analysis)
    return PageContent(
        title=study.plan.name,
        facts=facts(study, analysis),
        missing=missing_items(study, analysis),
        metric=LABELS[study.plan.analysis.metric],
        strokes=strokes,
        answers=tuple(
            answer(setting, difference_figures.get(setting.setting))
            for setting in analysis.settings
        ),
        reading=how_to_read(analysis),
        curves=tuple(curve_views),
        tables=tuple(tables),
        checks=findings_first(analysis.checks),
        runs=run_rows(study),
        several_settings=len(analysis.settings) > 1,
        provenance=provenance(study),
        next_step=step,
        command=command,
        version=__version__,
    )


def curves_view(setting: str, figure: CurveFigure, svgs: Sequence[str]) -> CurvesView:
    """The panels of one setting with their pictures, in the same order."""
    panels = tuple(
        PanelView(panel.axis_title, panel.part, Markup(svg))
        for panel, svg in zip(figure.panels, svgs, strict=True)
    )
    return CurvesView(setting, figure.arms, panels)


def how_to_read(analysis: Analysis) -> tuple[str, ...]:
    """What the numbers of the verdict mean, a paragraph each."""
    rules = analysis.plan.analysis
    margin = format_difference(rules.metric, rules.margin).removeprefix("+")
    confidence = f"{100 * (1 - rules.alpha):g} %"
    return (
        "A block is one training of every arm from the same split, initial weights, order of "
        "images and augmentation; differences are taken inside blocks. The interval is the paired "
        f"t interval ({confidence}, for one comparison by itself). Decisions take all pairs of a "
        f"setting into account (Holm, α = {rules.alpha:g}), so an interval may leave out zero and "
        "the pair still be undecided.",
        f"Practically equal: shown by two one-sided tests to differ by less than {margin} "
        f"{unit(rules.metric)}, the margin fixed in the plan. P(better): the share of blocks in "
        "which the arm was the better one, ties counting half. Time: of a training step, relative "
        "to the reference. More blocks: an estimate from the spread so far, at even odds.",
        "The blocks share one fixed evaluation part: the verdict speaks of new trainings judged on "
        "these images, not of new images.",
    )


def difference_view(svg: str, reference: str, margin_text: str) -> PageFigure:
    """The difference plot with its caption."""
    caption = (
        f"Difference to {reference}: the point is the mean over blocks, the bar its interval, each "
        f"tick one block. The grey band is practical equality (±{margin_text}); an arrow points to "
        "what lies beyond the axis."
    )
    return PageFigure(Markup(svg), caption)
