"""What the check of the data found, before the study began."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.records.data_report import LOOK, DataReport
from normlab.report.sections.base import Nothing, ReportContext, Section, never, section_template
from normlab.report.sections.data_checks.data import read_data_report


@dataclass(frozen=True)
class DataView:
    """What was found, and where the pictures are."""

    report: DataReport
    look: str
    """Their page, seen from this one; empty where there is none."""


def build(context: ReportContext) -> DataView | None:
    """None where the study kept no report that can be read."""
    report = read_data_report(context.study.folder)[0]
    if report is None:
        return None
    return DataView(report, f"../{LOOK}" if (context.study.folder / LOOK).exists() else "")


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
