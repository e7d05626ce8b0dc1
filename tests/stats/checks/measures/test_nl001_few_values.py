from __future__ import annotations

import pytest

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl001_few_values import (
    few_values,
    is_6n_plus_2,
    smallest_map_values,
)


@pytest.mark.parametrize(
    ("batch_size", "image_size", "values"), [(32, 32, 2048), (3, 8, 12), (4, 8, 16), (1, 9, 9)]
)
def test_values_of_the_last_stage(batch_size, image_size, values):
    assert smallest_map_values(batch_size, image_size) == values


def test_networks_of_6n_plus_2_layers():
    names = ["resnet8", "resnet14", "resnet20", "resnet110", "resnet18", "resnet34", "resnet2", "x"]
    assert [name for name in names if is_6n_plus_2(name)] == names[:4]


@pytest.mark.parametrize("norm", ["bn:momentum=0.2", "torch-bn", "bin"])
def test_few_values_are_found_for_batch_statistics(study, fabricate, norm):
    plan, _ = study
    spec = fabricate.make_spec(plan, "x", 0, norm=norm, batch_size=2)
    tiny = spec.model_copy(update={"data": spec.data.model_copy(update={"image_size": 8})})
    check = few_values(StudyToCheck(plan, [fabricate.make_run(tiny, 0.5)]))
    assert check.state == "finding"
    assert f"{norm} at batch 2 and 8 px has 8" in check.message


def test_norms_without_batch_statistics_are_not_judged(study, fabricate):
    plan, _ = study
    run = fabricate.make_run(fabricate.make_spec(plan, "gn", 0), 0.5)
    assert few_values(StudyToCheck(plan, [run])).state == "not applicable"
