"""What the words of the page mean."""

from __future__ import annotations

from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.report.sections.glossary.data import terms


def build(context: ReportContext) -> tuple[tuple[str, str], ...]:
    """Words with what they mean."""
    return terms(context.strokes)


SECTION = Section(
    name="glossary",
    title="What the words mean",
    entry="Words",
    order=150,
    template=section_template(__file__),
    build=build,
    of_own=True,
)
