"""The tables of the study, as a paper has them."""

from __future__ import annotations

from normlab.report.export.table import Table
from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.report.sections.tables.data import study_tables
from normlab.report.sections.tables.further import further_tables


def build(context: ReportContext) -> tuple[Table, ...]:
    """By norm, optimizer and batch size; then claims, curves in numbers, factors, tuning."""
    return (*study_tables(context.analysis), *further_tables(context.analysis))


def tables(view: tuple[Table, ...]) -> tuple[Table, ...]:
    """Every table of the section is exported, too."""
    return view


SECTION = Section(
    name="tables",
    title="Tables",
    order=70,
    template=section_template(__file__),
    build=build,
    of_own=True,
    tables=tables,
)
