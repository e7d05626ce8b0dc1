from __future__ import annotations

import pytest

from normlab.errors import UsageError, shortened
from normlab.records.plan import parse_plan
from normlab.study.budget import parse_duration

PLAN = {"name": "limits", "data": {"source": "nowhere", "image_size": 16}}


@pytest.mark.parametrize(
    "table",
    [
        {"blocks": 10**21},
        {"blocks": -1},
        {"training": {"epochs": 10**9}},
        {"training": {"warmup_epochs": float("inf")}},
        {"training": {"warmup_epochs": float("nan")}},
        {"training": {"step_epochs": float("inf")}},
        {"training": {"milestones": [float("nan")]}},
        {"training": {"weight_decay": float("inf")}},
        {"training": {"patience": 10**12}},
        {"factors": {"learning_rate": [float("inf")]}},
        {"factors": {"learning_rate": [0.1, float("nan")]}},
        {"factors": {"batch_size": [10**12]}},
        {"factors": {"batch_size": [0]}},
        {"tuning": {"learning_rate": [0.1, float("inf")]}},
        {"tuning": {"points": 10**6}},
        {"analysis": {"looks": [3, 10**11]}},
    ],
    ids=str,
)
def test_what_nobody_trains_is_refused_with_the_range(table):
    with pytest.raises(UsageError, match=r"less than|greater than|0 < low < high"):
        parse_plan({**PLAN, **table})


def test_a_budget_has_an_end():
    with pytest.raises(UsageError, match="at most a year"):
        parse_duration("1" * 30 + "h")
    assert parse_duration("366h") == 366 * 3600


def test_a_very_long_value_is_cut_in_messages():
    with pytest.raises(UsageError) as refused:
        parse_plan({**PLAN, "blocks": "9" * 5000})
    assert len(str(refused.value)) < 300
    assert shortened("bn") == "bn"
