import numpy as np

from normlab.records.store import Predictions
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl017_nothing_learned import nothing_learned


def test_arms_that_only_guess_are_named(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3)
    runs = fabricate.make_runs(plan, effects={"bn": 0.0, "gn": -0.55})
    found = nothing_learned(StudyToCheck(plan, runs))
    assert found.state == "finding"
    assert "gn" in found.message
    assert "bn (" not in found.message


def test_naming_the_largest_class_is_guessing(fabricate, tmp_path):
    """Seven of ten images are of one class: an accuracy of 70 % has learned nothing."""
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3)
    runs = fabricate.make_runs(plan, effects={"bn": 0.15, "gn": -0.1}, sd=0.002)
    names = np.array([f"{index:03}.jpg" for index in range(1000)])
    labels = np.where(np.arange(1000) % 10 < 7, 0, 1)
    written = fabricate.write_study(tmp_path, plan, runs)
    assert nothing_learned(StudyToCheck(plan, written)).state == "passed"
    for run in written:
        folder = fabricate.RunFolder(run.folder)
        folder.write_predictions(Predictions(names, labels, np.full((1000, 4), 0.25)))
        folder.write_outcome(run.outcome)  # which vouches for them
    found = nothing_learned(StudyToCheck(plan, written))
    assert found.state == "finding"
    assert "gn" in found.message
    assert "bn (" not in found.message


def test_arms_that_learned_pass_and_no_runs_say_nothing(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3)
    good = StudyToCheck(plan, fabricate.make_runs(plan))
    assert nothing_learned(good).state == "passed"
    assert nothing_learned(StudyToCheck(plan, [])).state == "not applicable"


def test_a_curve_that_still_rises_is_named(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3, epochs=8)
    runs = fabricate.make_runs(plan, sd=0.0)
    rising = []
    for run in runs:
        rows = [
            row.model_copy(update={"validation": fabricate.make_measures(0.3 + 0.06 * row.epoch)})
            for row in run.rows
        ]
        rising.append(fabricate.replace(run, rows=tuple(rows)))
    found = nothing_learned(StudyToCheck(plan, rising))
    assert found.state == "finding"
    assert "12.0 points" in found.message
