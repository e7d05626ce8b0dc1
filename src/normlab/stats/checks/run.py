"""All checks in the order of their codes."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.data_report import DataReport
from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.records.tuning_results import TuningResults
from normlab.stats.checks.check import Check
from normlab.stats.checks.nl001_few_values import check_few_values
from normlab.stats.checks.nl002_unequal_tuning import check_unequal_tuning
from normlab.stats.checks.nl003_edge_of_range import check_edge_of_range
from normlab.stats.checks.nl004_few_blocks import check_few_blocks
from normlab.stats.checks.nl005_test_part_used import check_test_part_used
from normlab.stats.checks.nl006_statistics_disagree import check_statistics_disagree
from normlab.stats.checks.nl007_duplicates import check_copies
from normlab.stats.checks.nl008_broken_pairing import check_broken_pairing
from normlab.stats.checks.nl009_micro_f1 import check_micro_f1
from normlab.stats.checks.nl010_impossible_accuracy import check_impossible_accuracy
from normlab.stats.checks.nl011_identical_rows import check_identical_rows
from normlab.stats.checks.nl012_better_than_training import check_better_than_training
from normlab.stats.checks.nl013_mixed_environment import check_mixed_environment
from normlab.stats.checks.nl014_missing_runs import check_missing_runs
from normlab.stats.checks.nl015_shortcut import check_shortcut
from normlab.stats.checks.nl016_unsteady_times import check_unsteady_times


def run_checks(
    plan: StudyPlan,
    runs: Sequence[RunRecord],
    tuning_results: TuningResults | None = None,
    data: DataReport | None = None,
) -> list[Check]:
    """One result a check, whether it found something or not."""
    return [
        check_few_values(plan, runs),
        check_unequal_tuning(plan, runs, tuning_results),
        check_edge_of_range(plan, tuning_results),
        check_few_blocks(plan, runs),
        check_test_part_used(plan, runs, tuning_results),
        check_statistics_disagree(plan, runs),
        check_copies(plan, data),
        check_broken_pairing(plan, runs),
        check_micro_f1(plan, runs),
        check_impossible_accuracy(plan, runs),
        check_identical_rows(plan, runs),
        check_better_than_training(plan, runs),
        check_mixed_environment(plan, runs),
        check_missing_runs(plan, runs),
        check_shortcut(data),
        check_unsteady_times(plan, runs),
    ]
