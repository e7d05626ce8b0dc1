"""The methods paragraph of a paper."""

from __future__ import annotations

from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.stats.summary.methods import methods_paragraph


def build(context: ReportContext) -> str:
    """Make the methods paragraph."""
    return methods_paragraph(context.analysis, context.study.runs)


def texts(view: str) -> dict[str, str]:
    """The paragraph as a file of its own."""
    return {"methods.txt": view + "\n"}


SECTION = Section(
    name="methods",
    title="Methods",
    order=140,
    template=section_template(__file__),
    build=build,
    of_own=True,
    texts=texts,
    in_regrouping=False,
)
