"""All checks in the order of their codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.checks.check import Check
from normlab.stats.checks.nl001_few_values import check_few_values
from normlab.stats.checks.nl004_few_blocks import check_few_blocks
from normlab.stats.checks.nl008_broken_pairing import check_broken_pairing
from normlab.stats.checks.nl009_micro_f1 import check_micro_f1
from normlab.stats.checks.nl011_identical_rows import check_identical_rows
from normlab.stats.checks.nl012_better_than_training import check_better_than_training
from normlab.stats.checks.nl013_mixed_environment import check_mixed_environment
from normlab.stats.checks.nl014_missing_runs import check_missing_runs

CHECKS: tuple[Callable[[StudyPlan, Sequence[RunRecord]], Check], ...] = (
    check_few_values,
    check_few_blocks,
    check_broken_pairing,
    check_micro_f1,
    check_identical_rows,
    check_better_than_training,
    check_mixed_environment,
    check_missing_runs,
)


def run_checks(plan: StudyPlan, runs: Sequence[RunRecord]) -> list[Check]:
    """One result a check, whether it found something or not."""
    return [check(plan, runs) for check in CHECKS]
