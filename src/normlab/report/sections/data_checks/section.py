"""What the check of the data found, before the study began."""

from __future__ import annotations

from normlab.records.data_report import DataReport
from normlab.report.sections.base import Nothing, ReportContext, Section, never, section_template
from normlab.report.sections.data_checks.data import read_data_report


def build(context: ReportContext) -> DataReport | None:
    """None where the study kept no report that can be read."""
    return read_data_report(context.study.folder)[0]


def nothing(context: ReportContext) -> Nothing:
    """Why there is none, and how to look."""
    _, why = read_data_report(context.study.folder)
    return Nothing(f"{why} To look for copies, leaks and wrong labels:", "normlab check FOLDER")


SECTION = Section(
    name="data_checks",
    title="Data",
    id="data",
    order=50,
    folded=never,
    template=section_template(__file__),
    build=build,
    nothing=nothing,
    in_regrouping=False,
)
