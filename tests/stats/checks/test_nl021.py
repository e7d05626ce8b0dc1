"""NL021: norms that no arm could convert."""

from normlab.records.run import NetworkSpec, NormSite
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.design.nl021_left_norms import left_norms


def site(layer, kind, over="batch"):
    return NormSite(layer=layer, kind=kind, over=over, values=64, standardizes=True)


def runs_with(fabricate, plan, own_kind, options):
    network = NetworkSpec(name="timm/resnet18", options=options)
    found = []
    for run in fabricate.make_runs(plan):
        kind = {"bn": "BatchNorm2d", "gn": "GroupNorm2d"}[run.spec.norm]
        sites = (site("1", kind), site("2", own_kind or kind), site("3", "Grn", "nothing"))
        outcome = run.outcome.model_copy(update={"norm_sites": sites})
        spec = run.spec.model_copy(update={"network": network})
        found.append(type(run)(**{**vars(run), "spec": spec, "outcome": outcome}))
    return found


def test_layers_that_are_the_same_in_every_arm_are_named(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    found = left_norms(StudyToCheck(plan, runs_with(fabricate, plan, "Odd", {"partial": True})))
    assert found.state == "finding"
    assert found.message == "timm/resnet18:partial=true keeps 2 (Odd)"
    whole = left_norms(StudyToCheck(plan, runs_with(fabricate, plan, None, {"partial": True})))
    assert whole.state == "passed"


def test_a_network_that_was_converted_as_a_whole(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    found = left_norms(StudyToCheck(plan, runs_with(fabricate, plan, "Odd", {})))
    assert found.state == "not applicable"
