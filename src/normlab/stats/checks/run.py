"""Run all checks of studies in the order of their codes."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.checks import import_checks, registered_checks
from normlab.records.data_report import DataReport, Probe
from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TuningResults
from normlab.stats.checks.base import Check, StudyCheck, StudyToCheck


def study_checks() -> tuple[StudyCheck, ...]:
    """Every check of studies: those in this folder, and those of installed packages."""
    import_checks("normlab.stats.checks")
    return tuple(check for check in registered_checks() if isinstance(check, StudyCheck))


def run_checks(
    plan: StudyPlan,
    runs: Sequence[RunRecord],
    tuning_results: TuningResults | None = None,
    data: DataReport | None = None,
    probe: Probe | None = None,
) -> list[Check]:
    """One result a check, whether it found something or not."""
    study = StudyToCheck(plan, runs, tuning_results, data, probe)
    return [check(study) for check in study_checks()]
