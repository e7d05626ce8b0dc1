"""The checks of validity, findings first."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.checks import SEVERITIES
from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.stats.checks.base import Check


def build(context: ReportContext) -> tuple[Check, ...]:
    """Every check of the study, in the order in which they matter to the reader."""
    return findings_first(context.analysis.checks)


def findings_first(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Findings by severity, then what passed, then what does not apply."""
    rank = {"finding": 0, "passed": 1, "not applicable": 2}

    def key(check: Check) -> tuple[int, int]:
        severity = SEVERITIES.index(check.severity) if check.state == "finding" else 0
        return rank[check.state], severity

    return tuple(sorted(checks, key=key))


SECTION = Section(
    name="checks",
    title="Checks of validity",
    entry="Checks",
    order=130,
    template=section_template(__file__),
    build=build,
    of_own=True,
)
