"""The checks that read more than runs: tuning, data, what chose what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from normlab.records.data_report import DataReport, Finding
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.data.nl007_duplicates import duplicates_across_split
from normlab.stats.checks.data.nl015_shortcut import shortcut
from normlab.stats.checks.measures.nl006_statistics_disagree import statistics_disagree
from normlab.stats.checks.measures.nl010_impossible_accuracy import impossible_accuracy
from normlab.stats.checks.tuning.nl002_unequal_tuning import unequal_tuning
from normlab.stats.checks.tuning.nl003_edge_of_range import edge_of_range
from normlab.stats.checks.tuning.nl005_test_part_used import selecting_on_test

SETTING = "sgd, batch 32"


@pytest.fixture
def tuned(fabricate):
    """A plan that tunes, its runs at the chosen rates, and its tuning results."""
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=5)
    plan = plan.model_validate({**plan.model_dump(), "tuning": {"points": 2}})
    chosen = {"bn": 0.1, "gn": 0.01}
    runs = []
    for run in fabricate.make_runs(plan):
        optimizer = run.spec.optimizer.model_copy(update={"learning_rate": chosen[run.spec.arm]})
        runs.append(replace(run, spec=run.spec.model_copy(update={"optimizer": optimizer})))
    tuning_results = TuningResults(
        metric="accuracy",
        blocks=(1000,),
        ranges={"learning_rate": (0.001, 1.0)},
        arms=tuple(entry(arm, rate) for arm, rate in chosen.items()),
    )
    return plan, runs, tuning_results


def entry(arm, rate, **changes):
    trials = tuple(
        Trial(levels={"learning_rate": r}, epochs=5, score=0.8, status="finished")
        for r in (0.01, 0.1)
    )
    content = {
        "setting": SETTING,
        "arm": arm,
        "trials": trials,
        "chosen": {"learning_rate": rate},
        "at_edge": (),
        "runs": 2,
        "epochs": 10,
        "seconds": 1.0,
    }
    return TunedArm(**{**content, **changes})


def with_arm(tuning_results, arm):
    return tuning_results.model_copy(update={"arms": (tuning_results.arms[0], arm)})


def test_equal_tuning_passes_and_unequal_is_found(tuned):
    plan, runs, tuning_results = tuned
    passed = unequal_tuning(StudyToCheck(plan, runs, tuning_results))
    assert passed.state == "passed"
    assert "the same 2 points in 2 runs of 10 epochs" in passed.message
    more = with_arm(tuning_results, entry("gn", 0.01, runs=4, epochs=20))
    found = unequal_tuning(StudyToCheck(plan, runs, more))
    assert (found.state, found.severity) == ("finding", "error")
    assert "gn had 4 runs, bn 2" in found.message
    other = entry("gn", 0.01, trials=tuning_results.arms[0].trials[:1])
    assert (
        "tried other points"
        in unequal_tuning(StudyToCheck(plan, runs, with_arm(tuning_results, other))).message
    )


def test_a_run_that_did_not_use_what_was_chosen(tuned):
    plan, runs, tuning_results = tuned
    found = unequal_tuning(StudyToCheck(plan, runs, with_arm(tuning_results, entry("gn", 0.1))))
    assert "gn ran with learning rate 0.01, chosen was 0.1" in found.message
    nobody = tuning_results.model_copy(update={"arms": tuning_results.arms[:1]})
    assert "gn was not tuned" in unequal_tuning(StudyToCheck(plan, runs, nobody)).message


def test_without_tuning_or_before_its_end(tuned, study):
    plan, runs, _ = tuned
    assert unequal_tuning(StudyToCheck(plan, runs)).state == "not applicable"
    assert unequal_tuning(StudyToCheck(*study)).state == "not applicable"
    assert edge_of_range(StudyToCheck(plan, ())).state == "not applicable"
    assert edge_of_range(StudyToCheck(study[0], ())).message == "nothing is tuned"


def test_a_best_rate_at_the_edge(tuned):
    plan, _, tuning_results = tuned
    assert edge_of_range(StudyToCheck(plan, (), tuning_results)).state == "passed"
    edge = with_arm(tuning_results, entry("gn", 0.01, at_edge=("learning_rate",)))
    found = edge_of_range(StudyToCheck(plan, (), edge))
    assert "searched learning rate 0.001 to 1" in found.message
    assert "gn is best at learning rate 0.01" in found.message


def test_selection_by_the_evaluation_part(tuned, study, with_measures):
    plan, runs = study
    assert selecting_on_test(StudyToCheck(plan, runs)).state == "passed"
    assert selecting_on_test(StudyToCheck(plan, [])).state == "not applicable"
    outcome = runs[0].outcome
    same = replace(runs[0], outcome=outcome.model_copy(update={"validation": outcome.test}))
    assert "are the same" in selecting_on_test(StudyToCheck(plan, [same, *runs[1:]])).message
    early = replace(runs[0], outcome=outcome.model_copy(update={"reported_epoch": 1}))
    assert "epoch 1 is reported" in selecting_on_test(StudyToCheck(plan, [early])).message
    tuning_results = tuned[2].model_copy(update={"blocks": (2,)})
    assert (
        "block 3 served for tuning"
        in selecting_on_test(StudyToCheck(plan, runs, tuning_results)).message
    )


def report(*codes):
    findings = tuple(
        Finding(code=c, title=c, severity="warning", count=1, message=f"{c} was found.", remedy="")
        for c in codes
    )
    return DataReport(
        source="photos", fingerprint="f", classes=("a", "b"), images=10, parts={}, facts=(),
        findings=findings, passed=(), seconds=0.1,
    )  # fmt: skip


def test_copies_across_the_split(study):
    plan, _ = study
    assert duplicates_across_split(StudyToCheck(plan, (), None)).state == "not applicable"
    frozen = plan.frozen.model_copy(update={"groups": "hash"})
    known = plan.model_copy(update={"frozen": frozen})
    assert duplicates_across_split(StudyToCheck(known, (), None, report())).state == "passed"
    assert (
        "taken out of training"
        in duplicates_across_split(StudyToCheck(known, (), None, report("DC013"))).message
    )
    exact = plan.model_copy(update={"data": plan.data.model_copy(update={"copies": "exact"})})
    found = duplicates_across_split(StudyToCheck(exact, (), None, report("DC013")))
    assert (found.state, found.severity) == ("finding", "warning")
    assert found.message.endswith("DC013 was found.")


def test_a_shortcut_in_the_data(study):
    plan, _ = study
    assert shortcut(StudyToCheck(plan, ())).state == "not applicable"
    assert shortcut(StudyToCheck(plan, (), None, report("DC013"))).state == "passed"
    found = shortcut(StudyToCheck(plan, (), None, report("DC021")))
    assert found.state == "finding"
    assert found.message == "DC021 was found. (DC021)"


def test_an_accuracy_that_is_no_count(study, with_measures):
    plan, runs = study
    assert impossible_accuracy(StudyToCheck(plan, runs)).state == "passed"
    assert impossible_accuracy(StudyToCheck(plan, [])).state == "not applicable"
    odd = with_measures(runs[0], "test", accuracy=0.81234)
    found = impossible_accuracy(StudyToCheck(plan, [odd]))
    assert (found.state, found.severity) == ("finding", "error")
    assert "0.812340 of 1000 images is 812.340" in found.message


def test_running_statistics_that_are_not_those_of_the_network(study, with_measures):
    plan, runs = study
    assert statistics_disagree(StudyToCheck(plan, runs)).state == "not applicable"
    validation = runs[0].outcome.validation

    def measured(accuracy):
        by_batches = validation.model_copy(update={"accuracy": accuracy})
        outcome = runs[0].outcome.model_copy(update={"validation_by_batches": by_batches})
        return [replace(runs[0], outcome=outcome)]

    near, far = validation.accuracy + 0.001, validation.accuracy - 0.3
    assert statistics_disagree(StudyToCheck(plan, measured(near))).state == "passed"
    found = statistics_disagree(StudyToCheck(plan, measured(far)))
    assert (found.state, found.severity) == ("finding", "warning")
    assert "with running" in found.message
