"""Write the report of a study: the page, and the same figures and tables for a paper.

report/index.html   report/figures/*.svg, *.png   report/tables/*.md, *.csv, *.tex
report/methods.txt
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import altair as alt
import pandas as pd

from normlab.records.store import atomic_write
from normlab.report.charts import curves_chart, difference_chart, panel_chart
from normlab.report.colours import Stroke, strokes
from normlab.report.content import curves_view, difference_view, page_content
from normlab.report.drawing import inline_svg, to_png, to_svg
from normlab.report.figures import curve_figure, difference_figure
from normlab.report.formats import to_csv, to_latex, to_markdown
from normlab.report.page import CurvesView, PageFigure, render_page
from normlab.report.tables import Table, study_tables
from normlab.stats.analysis import Analysis, SettingAnalysis, analyse
from normlab.stats.curves import curves
from normlab.stats.methods import methods_paragraph
from normlab.stats.metrics import format_difference, unit
from normlab.stats.reading import read_study
from normlab.stats.setting import Setting

Progress = Callable[[str], None]
"""Told in a few words what is written next."""


def build_report(study_folder: Path, *, progress: Progress | None = None) -> Path:
    """Read study.toml and runs/, write report/, and give the path of the page.

    What is missing (no finished run, one arm, one block, a damaged record) is named in the page,
    and the rest is shown. Every file is written whole or not at all; the page comes last, so that
    it never speaks of a file that is not there.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        StorageError: the report cannot be written.
    """
    tell = progress or (lambda _: None)
    tell("reading the records")
    study = read_study(study_folder)
    analysis = analyse(study.plan, study.runs, study.ledger, study.data)
    drawn = strokes(
        list(dict.fromkeys(row.arm for setting in analysis.settings for row in setting.rows))
    )
    report = study_folder / "report"

    tell("writing the tables")
    tables = study_tables(analysis)
    for table in tables:
        write_table(table, report / "tables")

    methods = methods_paragraph(analysis, study.runs)
    atomic_write(report / "methods.txt", (methods + "\n").encode())

    tell("drawing the differences")
    differences = _difference_figures(analysis, drawn, report / "figures")
    tell("drawing the curves")
    frame = curves(study.plan, study.runs)
    views = [
        view
        for setting in analysis.settings
        if (view := _curves(setting, frame, drawn, report / "figures")) is not None
    ]

    tell("writing the page")
    content = page_content(study, analysis, drawn, tables, differences, views)
    page = report / "index.html"
    atomic_write(page, render_page(content).encode())
    return page


def write_table(table: Table, folder: Path) -> None:
    """The table as .md, .csv and .tex."""
    for suffix, write in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
        atomic_write(folder / f"{table.slug}.{suffix}", write(table).encode())


def write_figure(chart: alt.TopLevelMixin, slug: str, folder: Path) -> str:
    """The chart as .svg and .png; gives the SVG."""
    svg = to_svg(chart)
    atomic_write(folder / f"{slug}.svg", svg.encode())
    atomic_write(folder / f"{slug}.png", to_png(svg))
    return svg


def _difference_figures(
    analysis: Analysis, drawn: dict[str, Stroke], folder: Path
) -> Mapping[Setting, PageFigure]:
    figures = {}
    for setting in analysis.settings:
        figure = difference_figure(setting, drawn)
        if figure is None or setting.verdict.reference is None:
            continue
        svg = write_figure(difference_chart(figure), figure.slug, folder)
        metric = setting.verdict.metric
        margin = format_difference(metric, setting.verdict.margin).removeprefix("+")
        figures[setting.setting] = difference_view(
            inline_svg(svg, figure.slug, figure.description),
            setting.verdict.reference,
            f"{margin} {unit(metric)}",
        )
    return figures


def _curves(
    setting: SettingAnalysis, frame: pd.DataFrame, drawn: dict[str, Stroke], folder: Path
) -> CurvesView | None:
    figure = curve_figure(setting, frame, drawn)
    if figure.is_empty:
        return None
    write_figure(curves_chart(figure), figure.slug, folder)
    svgs = [
        inline_svg(
            to_svg(panel_chart(panel, figure)),
            f"{figure.slug}-{panel.metric}-{panel.part}",
            f"{panel.axis_title}, {panel.part}, by epoch, for {', '.join(figure.arms)}",
        )
        for panel in figure.panels
    ]
    return curves_view(setting.setting.label, figure, svgs)
