"""Write the report of a study: the page, and the same figures and tables for a paper.

report/index.html   report/figures/*.svg, *.png, *.pdf   report/tables/*.md, *.csv, *.tex
report/methods.txt
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from normlab.errors import StorageError
from normlab.records.robustness import RobustnessRow, read_robustness
from normlab.records.store import atomic_write
from normlab.report.charts.colours import Stroke, strokes
from normlab.report.charts.overview_charts import where_chart
from normlab.report.charts.parallel_drawing import Sketch, paint
from normlab.report.charts.sheet import sheet
from normlab.report.export.formats import to_csv, to_latex, to_markdown
from normlab.report.page.content import answer_tables, page_content
from normlab.report.page.page import render_page
from normlab.report.page.setting_figures import SettingFigures, setting_figures
from normlab.report.sections.by_setting import where_figure
from normlab.report.sections.further_tables import further_tables
from normlab.report.sections.per_class import recall_table
from normlab.report.sections.tables import Table, study_tables
from normlab.stats.data.curves import setting_curves
from normlab.stats.data.layout import arrange
from normlab.stats.data.reading import StudyRecords, read_study
from normlab.stats.summary.analysis import Analysis, analyse
from normlab.stats.summary.layer_diagnostics import read_layer_summaries
from normlab.stats.summary.methods import methods_paragraph
from normlab.stats.summary.robustness import robustness_table

SINGLE = (
    *("cost", "recall", "confusion", "reliability"),
    *("features", "gate", "mean_gap", "depth", "stress"),
)
"""Charts of a setting that are a figure by themselves."""
MOST_INSIDE = 4
"""Settings whose layers are shown: the first ones."""

Progress = Callable[[str], None]
"""Told in a few words what is written next."""


def build_report(
    study_folder: Path, *, progress: Progress | None = None, exports: bool = True
) -> Path:
    """Read study.toml and runs/, write report/, and give the path of the page.

    What is missing (no finished run, one arm, one block, a damaged record) is named in the page,
    and the rest is shown. Every file is written whole or not at all; the page comes last, so that
    it never speaks of a file that is not there. Without `exports` only the page is written.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        StorageError: the report cannot be written.
    """
    tell = progress or (lambda _: None)
    tell("reading the records")
    study = read_study(study_folder)
    analysis = analyse(study.plan, study.runs, study.tuning_results, study.data)
    drawn = strokes(
        list(dict.fromkeys(row.arm for setting in analysis.settings for row in setting.rows))
    )
    stress, damaged = _robustness_rows(study_folder)
    drafts = _drafts(study, analysis, drawn, stress)
    tables = (*study_tables(analysis), *further_tables(analysis))
    report = study_folder / "report"
    if exports:
        tell("writing the tables")
        for table in (*tables, *answer_tables(drafts)):
            write_table(table, report / "tables")
        for one in drafts:
            if one.class_table is not None and one.classes is not None:
                write_table(recall_table(one.class_table, one.classes), report / "tables")
            if one.inside is not None:
                write_table(one.inside.table, report / "tables")
            if one.ensembles is not None:
                write_table(one.ensembles.table, report / "tables")
            if one.stress is not None:
                for table in filter(None, (one.stress.losses, one.stress.batches)):
                    write_table(table, report / "tables")

    methods = methods_paragraph(analysis, study.runs)
    atomic_write(report / "methods.txt", (methods + "\n").encode())

    tell("drawing the figures")
    where = where_figure(analysis, drawn)
    charts: dict[str, Sketch] = {}
    if where is not None:
        charts["where"] = (where_chart, (where,))
    for one in drafts:
        charts |= one.charts()
        if exports:
            charts |= one.paper_charts()
    svgs = draw(charts)
    if exports:
        tell("writing the figures")
        write_figures(paper_figures(drafts, svgs, drawn), report / "figures")

    tell("writing the page")
    content = page_content(study, analysis, drawn, tables, drafts, where, svgs, damaged)
    page = report / "index.html"
    atomic_write(page, render_page(content).encode())
    return page


def _robustness_rows(study: Path) -> tuple[tuple[RobustnessRow, ...], str]:
    """The rows, or why there are none that can be read."""
    try:
        return read_robustness(study), ""
    except StorageError as error:
        return (), str(error)


def draw(charts: Mapping[str, Sketch]) -> dict[str, str]:
    """Every chart as a standalone SVG."""
    painted = paint({key: ("chart", sketch) for key, sketch in charts.items()})
    return {key: svg.decode() for key, svg in painted.items()}


def paper_figures(
    drafts: Sequence[SettingFigures], svgs: Mapping[str, str], drawn: Mapping[str, Stroke]
) -> dict[str, str]:
    """The figures for a paper by their file names, put together from what the page shows."""
    found = {"where": svgs["where"]} if "where" in svgs else {}
    for one in drafts:
        slug = one.slug
        reference = next(iter(one.differences), None)
        parts = [("", svgs[f"values/{slug}"])] if one.values is not None else []
        if reference is not None:
            parts.append(("", svgs[f"differences/{slug}/{reference}"]))
        if parts:
            found[f"answer-{slug}"] = sheet(one.analysis.setting.label, parts)
        if not one.curves.is_empty:
            panels = [
                (
                    f"{panel.axis_title}, {panel.part}",
                    svgs[f"curves/{slug}/{number if twin is None else twin}"],
                )
                for number, panel in enumerate(one.curves.panels)
                for twin in (one.curves.twin(number),)
            ]
            legend = {arm: drawn[arm] for arm in one.curves.arms}
            found[f"curves-{slug}"] = sheet(one.curves.title, panels, columns=2, legend=legend)
        for name in SINGLE:
            if f"{name}/{slug}" in svgs:
                found[f"{name}-{slug}"] = svgs[f"{name}/{slug}"]
    return found


def write_table(table: Table, folder: Path) -> None:
    """The table as .md, .csv and .tex."""
    for suffix, write in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
        atomic_write(folder / f"{table.slug}.{suffix}", write(table).encode())


def write_figures(figures: Mapping[str, str], folder: Path) -> None:
    """Every figure as .svg, .png and .pdf."""
    for name, svg in figures.items():
        atomic_write(folder / f"{name}.svg", svg.encode())
    painted = paint(
        {f"{name}.png": ("png", svg) for name, svg in figures.items()}
        | {f"{name}.pdf": ("pdf", svg) for name, svg in figures.items()}
    )
    for name, content in painted.items():
        atomic_write(folder / name, content)


def _drafts(
    study: StudyRecords,
    analysis: Analysis,
    drawn: Mapping[str, Stroke],
    stress: Sequence[RobustnessRow],
) -> tuple[SettingFigures, ...]:
    rules = study.plan.analysis
    layouts = arrange(study.plan, study.runs)
    return tuple(
        setting_figures(
            setting,
            layout,
            setting_curves(layout),
            drawn,
            rules.alpha,
            read_layer_summaries(layout) if number < MOST_INSIDE else None,
            robustness_table(layout, stress, rules.reference, rules.alpha),
        )
        for number, (setting, layout) in enumerate(zip(analysis.settings, layouts, strict=True))
    )
