"""The course's curves: a figure a metric, training beside validation, all arms in each."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from normlab.errors import UsageError
from normlab.report.charts.sheet import sheet
from normlab.report.page.build import blocks_sentence, draw, report_context
from normlab.report.sections.curves.chart import panel_chart
from normlab.report.sections.curves.data import CurveFigure, curve_figure
from normlab.report.sections.curves.section import lines_note
from normlab.stats.data.curves import setting_curves


def course_figures(folder: Path) -> dict[str, tuple[str, str]]:
    """Name → caption and SVG: by normalization in every setting, and by batch size.

    Raises:
        PlanError: there is no study.
    """
    found = _figures(folder, None)
    with contextlib.suppress(UsageError):  # it does not vary
        found |= _figures(folder, "batch_size")
    return found


def _figures(folder: Path, compare: str | None) -> dict[str, tuple[str, str]]:
    context = report_context(folder, compare)
    note = blocks_sentence(context)
    made: dict[str, tuple[str, str]] = {}
    for setting, layout in zip(context.settings, context.layouts, strict=True):
        strokes = {row.arm: context.strokes[row.arm] for row in setting.rows}
        figure = curve_figure(setting, setting_curves(layout), strokes)
        if not figure.is_empty:
            made |= _by_metric(figure, note, compare)
    return made


def _by_metric(
    figure: CurveFigure, note: str, compare: str | None
) -> Mapping[str, tuple[str, str]]:
    names = {str(number): number for number in range(len(figure.panels))}
    svgs = draw({k: (panel_chart, (figure.panels[n], figure.frame)) for k, n in names.items()})
    made = {}
    for number in range(0, len(figure.panels), 2):
        pair = figure.panels[number : number + 2]
        parts = [(one.heading, svgs[str(number + place)]) for place, one in enumerate(pair)]
        metric = pair[0].axis_title
        legend = {arm: figure.strokes[arm] for arm in figure.arms}
        below = f"{lines_note(figure)} {note}".strip()
        drawn = sheet("", parts, columns=2, legend=legend, note=below)
        slug = f"{'by-batch-' if compare else ''}{figure.slug}-{pair[0].metric.replace('_', '-')}"
        title = figure.title.removeprefix("Learning curves: ")
        made[slug] = f"{metric}, training and validation: {title}", drawn
    return made
