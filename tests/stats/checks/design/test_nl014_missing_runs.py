from __future__ import annotations

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl014_missing_runs import missing_runs


def test_diverged_and_missing_runs_are_listed(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    runs = fabricate.make_runs(
        plan, statuses={("gn", 0): "diverged", ("gn", 1): "out_of_memory"}, without={("bn", 2)}
    )
    check = missing_runs(StudyToCheck(plan, runs))
    assert check.state == "finding"
    assert check.message == (
        "1 diverged, counted as guessing: gn in block 1. "
        "2 of 6 without a result: bn in block 3 is missing; gn in block 2 is out of memory"
    )


def test_a_long_list_is_cut(fabricate):
    plan = fabricate.make_plan(blocks=9)
    assert missing_runs(StudyToCheck(plan, [])).message.endswith("and 59 more")
