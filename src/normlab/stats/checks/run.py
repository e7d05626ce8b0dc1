"""Run all checks of studies in the order of their codes."""

from __future__ import annotations

from normlab.records.checks import import_checks, registered_checks
from normlab.stats.checks.base import Check, StudyCheck, StudyToCheck


def study_checks() -> tuple[StudyCheck, ...]:
    """Every check of studies: those in this folder, and those of installed packages."""
    import_checks("normlab.stats.checks")
    return tuple(check for check in registered_checks() if isinstance(check, StudyCheck))


def run_checks(study: StudyToCheck) -> list[Check]:
    """One result a check, whether it found something or not."""
    return [check(study) for check in study_checks()]
