"""Write the report of a study: the page, and the same figures and tables for a paper.

report/index.html   report/figures/*.svg, *.png, *.pdf   report/tables/*.md, *.csv, *.tex
report/methods.txt
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from normlab.errors import UsageError
from normlab.records.files import atomic_write, out_of_collection
from normlab.records.network import is_own
from normlab.report.charts.colours import strokes
from normlab.report.charts.parallel_drawing import ChartCall, draw_all, start_drawing
from normlab.report.export.formats import to_csv, to_latex, to_markdown
from normlab.report.export.table import Table
from normlab.report.export.write import write_figures, write_table
from normlab.report.page.frame import PageFrame, page_frame
from normlab.report.page.render import render, template_environment
from normlab.report.sections.base import DrawnCharts, ReportContext, Section
from normlab.report.sections.registry import sections
from normlab.stats.data.layout import arrange
from normlab.stats.data.reading import read_study
from normlab.stats.data.regroup import regroup
from normlab.stats.summary.analysis import analyse_study

Progress = Callable[[str], None]
"""Told in a few words what is written next."""


@dataclass(frozen=True, eq=False)
class BuiltSection:
    """A section with its plain data; None where it has nothing to show."""

    section: Section[Any]
    view: Any


@dataclass(frozen=True)
class PageSection:
    """A section as the page's template prints it."""

    anchor: str
    entry: str
    title: str
    body: Markup
    folded: bool
    """Whether it is closed at first."""


def build_report(
    study_folder: Path,
    *,
    progress: Progress | None = None,
    exports: bool = True,
    compare: str | None = None,
    reference: str | None = None,
) -> Path:
    """Read study.toml and runs/, write report/, and give the path of the page; see `write_report`.

    With `compare` the finished runs are regrouped: the levels of that factor are the arms, the
    first or `reference` is what they are set against, and all goes to report/by-FACTOR/, so that
    the page of the plan stays.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        StorageError: the report cannot be written.
        PluginError: an installed package brings a section that cannot be used.
        UsageError: the factor does not vary in the study.
    """
    if progress is not None:
        progress("reading the records")
    start_drawing()
    context = report_context(study_folder, compare, reference)
    return write_report(context, progress=progress, exports=exports)


def write_report(
    context: ReportContext, *, progress: Progress | None = None, exports: bool = True
) -> Path:
    """Write the report of a study that has been read, and give the path of the page.

    What is missing (no finished run, one arm, one block, a damaged record) is named in the page,
    and the rest is shown. Every file is written whole or not at all; the page comes last, so that
    it never speaks of a file that is not there. Without `exports` only the page is written.

    Raises:
        StorageError: the report cannot be written.
        PluginError: an installed package brings a section that cannot be used.
    """
    log = progress or (lambda _: None)
    with out_of_collection():
        return _write(context, log, exports)


def _write(context: ReportContext, log: Progress, exports: bool) -> Path:
    regrouped = context.study.planned_compare is not None
    own = is_own(context.study.plan.analysis.metric)
    built = [
        BuiltSection(section, section.build(context))
        for section in sections()
        if (section.in_regrouping or not regrouped) and (section.of_own or not own)
    ]
    shown = [one for one in built if one.view is not None]
    factor = context.study.plan.analysis.compare
    report = report_folder(context.study.folder, factor if regrouped else None)
    tables = [table for one in shown for table in one.section.tables(one.view)]
    if exports:
        log("writing the tables")
        for table in tables:
            write_table(table, report / "tables")
    for one in shown:
        for name, text in one.section.texts(one.view).items():
            atomic_write(report / name, text.encode())

    log("drawing the figures")
    svgs = draw(all_charts(shown, paper=exports))
    drawn = DrawnCharts(svgs, context.strokes, blocks_sentence(context))
    if exports:
        log("writing the figures")
        figures: dict[str, str] = {}
        for one in shown:
            figures |= one.section.all_figures(one.view, drawn)
        write_figures(figures, report / "figures")

    log("writing the page")
    page = report / "index.html"
    atomic_write(page, render_page(context, built, drawn, tables).encode())
    return page


def report_folder(study_folder: Path, compare: str | None = None) -> Path:
    """Where the report of a study is; that of a regrouping lies inside."""
    report = study_folder / "report"
    return report if compare is None else report / f"by-{compare}"


def report_context(
    study_folder: Path, compare: str | None = None, reference: str | None = None
) -> ReportContext:
    """What the sections of a study's page are built from.

    Raises:
        PlanError: there is no study.toml, or it cannot be used.
        UsageError: the runs cannot be regrouped in this way.
    """
    study = read_study(study_folder)
    if compare is not None:
        study = regroup(study, compare, reference)
    with out_of_collection():
        analysis = analyse_study(study)
    arms = dict.fromkeys(row.arm for setting in analysis.settings for row in setting.rows)
    layouts = tuple(arrange(study.plan, study.runs))
    return ReportContext(study, analysis, layouts, strokes(list(arms)))


def blocks_sentence(context: ReportContext) -> str:
    """How many blocks the figures are of, e.g. "n = 3 blocks (trainings an arm)."."""
    numbers = sorted({row.n for one in context.settings for row in one.rows if row.n})
    if not numbers:
        return ""
    n = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    return f"n = {n} {'block' if n == '1' else 'blocks'} (trainings an arm)."


def all_charts(shown: Sequence[BuiltSection], paper: bool) -> dict[str, ChartCall]:
    """Every chart of every section by its name.

    Raises:
        UsageError: two sections gave a chart the same name.
    """
    charts: dict[str, ChartCall] = {}
    for one in shown:
        own = one.section.all_charts(one.view, paper)
        if twice := charts.keys() & own.keys():
            raise UsageError(
                f"the section {one.section.name!r} draws {min(twice)!r}, as another one does; "
                "give it another name"
            )
        charts |= own
    return charts


def draw(charts: Mapping[str, ChartCall]) -> dict[str, str]:
    """Every chart as a standalone SVG."""
    drawn = draw_all({name: ("chart", chart) for name, chart in charts.items()})
    return {name: svg.decode() for name, svg in drawn.items()}


def render_page(
    context: ReportContext,
    built: Sequence[BuiltSection],
    drawn: DrawnCharts,
    tables: Sequence[Table],
) -> str:
    """The page as HTML: every section in its order, and the data that the script reads."""
    frame = page_frame(context)
    bodies = [page_section(one, context, frame, drawn) for one in built]
    data: dict[str, Any] = {"arms": list(context.strokes)}
    for one in built:
        if one.view is not None:
            data |= one.section.script_data(one.view)
    shown = [body for body in bodies if body is not None]
    data["tables"] = {
        table.slug: [to_csv(table), to_markdown(table), to_latex(table)]
        for table in tables
        if any(f'data-table="{table.slug}"' in section.body for section in shown)
    }
    return render("page.html.j2", ("page.css",), page=frame, sections=shown, data=data)


def page_section(
    one: BuiltSection, context: ReportContext, frame: PageFrame, drawn: DrawnCharts
) -> PageSection | None:
    """A section as HTML; None where it has nothing to show and nothing to say about it."""
    section, environment = one.section, template_environment()
    if one.view is None:
        nothing = section.nothing(context)
        if nothing is None:
            return None
        body = environment.get_template("nothing.html.j2").render(nothing=nothing)
    else:
        template = environment.from_string(section.template.read_text(encoding="utf-8"))
        body = template.render(view=section.content(one.view, drawn), page=frame)
    entry, folded = section.entry or section.title, section.folded(context)
    return PageSection(section.anchor, entry, section.title, Markup(body), folded)
