from __future__ import annotations

from dataclasses import replace

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl008_broken_pairing import broken_pairing


def test_a_field_that_differs_is_named_with_its_values(study):
    plan, runs = study
    optimizer = runs[1].spec.optimizer.model_copy(update={"weight_decay": 0.5})
    changed = replace(runs[1], spec=runs[1].spec.model_copy(update={"optimizer": optimizer}))
    check = broken_pairing(StudyToCheck(plan, [runs[0], changed, *runs[2:]]))
    assert check.state == "finding"
    assert "optimizer.weight_decay is 0.0 and 0.5" in check.message


def test_an_arm_that_changes_its_norm_is_found(study):
    plan, runs = study
    changed = replace(runs[4], spec=runs[4].spec.model_copy(update={"norm": "gn:groups=4"}))
    check = broken_pairing(StudyToCheck(plan, [*runs[:4], changed, *runs[5:]]))
    assert "gn is gn and gn:groups=4" in check.message


def test_rival_records_are_found(study, fabricate):
    plan, runs = study
    rival = fabricate.make_run(fabricate.make_spec(plan, "gn", 3, epochs=7), 0.8)
    check = broken_pairing(StudyToCheck(plan, [*runs, rival]))
    assert "epochs is 5 and 7" in check.message
    assert "gn in block 4 has several finished records, none is used" in check.message


def test_settings_may_differ_from_each_other(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), batch_size=(8, 32))
    assert broken_pairing(StudyToCheck(plan, fabricate.make_runs(plan))).state == "passed"
