from __future__ import annotations

import pytest

from normlab.records.plan import parse_plan
from normlab.stats.data.setting import Setting, arms_of, planned_arms, setting_finder


@pytest.fixture
def plan():
    return parse_plan(
        {
            "name": "s",
            "data": {"source": "x"},
            "factors": [
                {"norm": ["bn", "in", "gn"], "optimizer": ["sgd", "adam"]},
                {"norm": ["gn", "ln"], "batch_size": [8, 32]},
            ],
        }
    )


def test_settings_and_arms_come_in_the_order_of_the_plan(plan):
    arms = planned_arms(plan)
    assert [str(setting) for setting in arms] == [
        "sgd, learning rate 0.1, batch 32",
        "adam, learning rate 0.1, batch 32",
        "sgd, learning rate 0.1, batch 8",
    ]
    assert list(arms.values()) == [("bn", "in", "gn", "ln"), ("bn", "in", "gn"), ("gn", "ln")]


def test_arms_that_only_the_records_know_come_last(plan, fabricate):
    spec = fabricate.make_spec(fabricate.make_plan(), "zz", 0)
    assert arms_of(plan, [spec])[Setting("sgd", 0.1, 32)] == ("bn", "in", "gn", "ln", "zz")


def test_a_small_rate_reads_well_and_the_slug_is_portable():
    setting = Setting("adam", 1e-4, 128)
    assert setting.label == "adam, learning rate 0.0001, batch 128"
    assert setting.slug == "adam-lr0.0001-batch128"


def test_the_setting_of_many_runs_is_that_of_each(plan, fabricate):
    specs = [fabricate.make_spec(fabricate.make_plan(), arm, b) for arm in "ab" for b in (0, 7)]
    specs += [specs[0].model_copy(update={"batch_size": 64})]
    find = setting_finder(plan)
    for spec in (*specs, *specs):
        assert find(spec) == Setting.of(spec, plan)
    assert find(specs[0]) is find(specs[1])
