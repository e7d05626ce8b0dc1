from normlab.records.plan import StudyPlan
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.data.nl018_few_test_images import few_test_images
from normlab.stats.checks.tuning.nl019_tuned_once import tuning_of_blocks


def test_the_margin_in_images(fabricate):
    for margin, state, severity in (
        (0.01, "passed", "warning"),
        (0.0015, "finding", "warning"),
        (0.0005, "finding", "error"),
    ):
        plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, analysis={"margin": margin})
        found = few_test_images(StudyToCheck(plan, fabricate.make_runs(plan)))
        assert (found.state, found.severity) == (state, severity)
        assert "of 1000 images" in found.message
    assert few_test_images(StudyToCheck(plan, [])).state == "not applicable"


def test_a_loss_has_no_images(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, analysis={"metric": "loss"})
    found = few_test_images(StudyToCheck(plan, fabricate.make_runs(plan)))
    assert found.state == "not applicable"


def test_one_tuning_for_all_blocks_is_a_finding(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    assert tuning_of_blocks(StudyToCheck(plan, [])).state == "not applicable"
    content = {**plan.model_dump(), "tuning": {"points": 4, "scope": "study"}, "frozen": None}
    tuned = StudyPlan.model_validate(content)
    assert tuning_of_blocks(StudyToCheck(tuned, [])).state == "finding"
