from __future__ import annotations

from dataclasses import replace

import pytest

from normlab.records.run import NormSite
from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl001_few_values import few_values, fewest_values


def small(fabricate, plan, norm, batch_size, image_size):
    spec = fabricate.make_spec(plan, "x", 0, norm=norm, batch_size=batch_size)
    data = spec.data.model_copy(update={"image_size": image_size})
    return fabricate.make_run(spec.model_copy(update={"data": data}), 0.5)


def with_sites(run, *sites):
    found = tuple(
        NormSite(layer=layer, kind="Own", over=over, values=values, standardizes=False)
        for layer, over, values in sites
    )
    return replace(run, outcome=run.outcome.model_copy(update={"norm_sites": found}))


@pytest.mark.parametrize(
    ("batch_size", "image_size", "values", "state"),
    [(32, 32, 2048, "passed"), (3, 8, 12, "finding"), (4, 8, 16, "passed"), (1, 9, 9, "finding")],
)
def test_16_values_are_enough(study, fabricate, batch_size, image_size, values, state):
    plan, _ = study
    run = small(fabricate, plan, "bn", batch_size, image_size)
    assert fewest_values(run) == (values, "stages.2.1.norm2")
    assert few_values(StudyToCheck(plan, [run])).state == state


@pytest.mark.parametrize("norm", ["bn:momentum=0.2", "torch-bn", "bin"])
def test_few_values_are_found_for_batch_statistics(study, fabricate, norm):
    plan, _ = study
    check = few_values(StudyToCheck(plan, [small(fabricate, plan, norm, 2, 8)]))
    assert check.state == "finding"
    assert f"{norm} at batch 2 and 8 px has 8 in stages.2.1.norm2" in check.message


def test_the_layer_with_the_fewest_counts_whatever_it_is_called(study, fabricate):
    plan, (run, *_) = study
    own = with_sites(run, ("0", "batch", 64), ("head.odd", "batch", 4), ("1", "layer", 2))
    check = few_values(StudyToCheck(plan, [own]))
    assert check.state == "finding"
    assert "has 4 in head.odd" in check.message


def test_norms_without_batch_statistics_are_not_judged(study, fabricate):
    plan, _ = study
    run = fabricate.make_run(fabricate.make_spec(plan, "gn", 0), 0.5)
    check = few_values(StudyToCheck(plan, [run]))
    assert (check.state, check.message) == ("not applicable", "no arm uses batch statistics")


def test_older_records_do_not_say(study, fabricate):
    plan, (run, *_) = study
    old = replace(run, outcome=run.outcome.model_copy(update={"norm_sites": None}))
    check = few_values(StudyToCheck(plan, [old]))
    assert check.state == "not applicable"
    assert "older records" in check.message
