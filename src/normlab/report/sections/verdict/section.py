"""The verdict of every setting in words."""

from __future__ import annotations

from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.report.sections.verdict.data import Sentence, sentence


def build(context: ReportContext) -> tuple[Sentence, ...]:
    """Make the verdict's sentence of every setting."""
    return tuple(sentence(setting, context.study_folder) for setting in context.settings)


SECTION = Section(
    name="verdict",
    title="Verdict",
    order=10,
    template=section_template(__file__),
    build=build,
)
