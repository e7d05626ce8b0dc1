"""How reliably an arm trains."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.sections.base import ReportContext, Rows, Section, section_template
from normlab.report.sections.divergence.data import HEAD, reliability_rows


@dataclass(frozen=True)
class SettingReliability:
    """One setting as it is printed."""

    setting: str
    slug: str
    head: tuple[str, ...]
    rows: Rows


def build(context: ReportContext) -> tuple[SettingReliability, ...]:
    """Outcomes, divergences and the spread of every setting."""
    return tuple(
        SettingReliability(one.setting.label, one.setting.slug, HEAD, reliability_rows(one, layout))
        for one, layout in zip(context.settings, context.layouts, strict=True)
    )


SECTION = Section(
    name="divergence",
    title="How runs ended",
    entry="Failures",
    id="robustness",
    order=85,
    template=section_template(__file__),
    build=build,
    of_own=True,
)
