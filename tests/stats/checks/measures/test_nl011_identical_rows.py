from __future__ import annotations

from dataclasses import replace

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl011_identical_rows import identical_rows


def twins(fabricate, first, second, **changes):
    plan = fabricate.make_plan(norms=(first, second), blocks=1)
    run = fabricate.make_run(fabricate.make_spec(plan, first, 0), 0.8)
    spec = fabricate.make_spec(plan, second, 0, **changes)
    sites = (fabricate.make_site(spec),)
    outcome = run.outcome.model_copy(update={"norm_sites": sites})
    return plan, [run, replace(run, spec=spec, outcome=outcome)]


def test_bin_and_bn_of_the_original_are_found(fabricate):
    check = identical_rows(StudyToCheck(*twins(fabricate, "bn", "bin")))
    assert check.state == "finding"
    assert "identical: bn and bin in block 1" in check.message


def test_one_digit_of_difference_is_enough(fabricate, with_measures):
    plan, (first, second) = twins(fabricate, "bn", "bin")
    second = with_measures(second, "test", loss=second.outcome.test.loss + 1e-12)
    assert identical_rows(StudyToCheck(plan, [first, second])).state == "passed"


def test_the_sanity_arm_and_an_a_a_study_may_be_identical(fabricate):
    assert (
        identical_rows(StudyToCheck(*twins(fabricate, "bn", "torch-bn"))).state == "not applicable"
    )
    same = twins(fabricate, "bn", "again", norm="bn")
    assert identical_rows(StudyToCheck(*same)).state == "not applicable"


def test_layers_that_compute_the_same_may_be_identical_whatever_they_are_called(fabricate):
    plan, (first, second) = twins(fabricate, "ln", "own-ln")
    second = replace(second, outcome=first.outcome)
    assert identical_rows(StudyToCheck(plan, [first, second])).state == "not applicable"


def test_two_optimizers_do_different_things(fabricate):
    plan, (first, _) = twins(fabricate, "bn", "again", norm="bn")
    optimizer = first.spec.optimizer.model_copy(update={"name": "adam"})
    plan = plan.model_copy(
        update={"analysis": plan.analysis.model_copy(update={"compare": "optimizer"})}
    )
    spec = first.spec.model_copy(update={"arm": "again", "optimizer": optimizer})
    assert identical_rows(StudyToCheck(plan, [first, replace(first, spec=spec)])).state == "finding"


def test_older_records_do_not_say_what_their_norms_compute(fabricate):
    plan, runs = twins(fabricate, "bn", "bin")
    old = [replace(r, outcome=r.outcome.model_copy(update={"norm_sites": None})) for r in runs]
    assert identical_rows(StudyToCheck(plan, old)).state == "not applicable"
