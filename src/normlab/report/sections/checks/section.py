"""The checks of validity, findings first."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.report.sections.base import ReportContext, Section, template_beside
from normlab.stats.checks.check import Check


def build(context: ReportContext) -> tuple[Check, ...]:
    """Every check of the study, in the order in which they matter to the reader."""
    return findings_first(context.analysis.checks)


def findings_first(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Findings by severity, then what passed, then what does not apply."""
    rank = {"finding": 0, "passed": 1, "not applicable": 2}
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(
        sorted(checks, key=lambda c: (rank[c.state], severity[c.severity] * (c.state == "finding")))
    )


SECTION = Section(
    name="checks",
    title="Checks of validity",
    entry="Checks",
    order=140,
    template=template_beside(__file__),
    build=build,
)
