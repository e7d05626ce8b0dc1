from __future__ import annotations

from dataclasses import replace

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl016_unsteady_times import unsteady_times


def slowed(run, factor):
    rows = [
        r.model_copy(update={"images_per_second": r.images_per_second / factor}) for r in run.rows
    ]
    return replace(run, rows=tuple(rows))


def test_a_disturbed_run_is_found(study):
    plan, runs = study
    some = [slowed(r, 2) if (r.spec.arm, r.spec.block) == ("gn", 3) else r for r in runs]
    check = unsteady_times(StudyToCheck(plan, some))
    assert (check.state, check.severity) == ("finding", "note")
    assert "against bn: gn 1.1" in check.message
    assert "none" not in check.message


def test_a_disturbed_reference_is_found(study):
    plan, runs = study
    some = [slowed(r, 3) if (r.spec.arm, r.spec.block) == ("bn", 0) else r for r in runs]
    message = unsteady_times(StudyToCheck(plan, some)).message
    assert "gn 0.3" in message
    assert "none 0.3" in message


def test_a_slow_machine_for_a_whole_block_is_not(study):
    plan, runs = study
    some = [slowed(r, 10) if r.spec.block == 2 else r for r in runs]
    assert unsteady_times(StudyToCheck(plan, some)).state == "passed"


def test_one_block_says_nothing(study):
    plan, runs = study
    check = unsteady_times(StudyToCheck(plan, [run for run in runs if run.spec.block == 0]))
    assert check.state == "not applicable"
