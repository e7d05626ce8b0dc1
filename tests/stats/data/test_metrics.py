from __future__ import annotations

import math

from normlab.records.run import METRICS
from normlab.stats.data.metrics import (
    LABELS,
    chance_level,
    format_difference,
    format_value,
    orientation,
)


def test_every_metric_has_a_label_and_a_direction():
    assert set(LABELS) == set(METRICS)
    assert {metric: orientation(metric) for metric in METRICS} == {
        "accuracy": 1,
        "micro_f1": 1,
        "macro_f1": 1,
        "loss": -1,
    }


def test_chance_is_a_uniform_guess():
    assert chance_level("accuracy", 25) == 0.04
    assert chance_level("macro_f1", 4) == 0.25
    assert chance_level("loss", 25) == math.log(25)


def test_printed_numbers_have_their_unit_and_sign():
    assert format_value("macro_f1", 0.9468) == "94.7"
    assert format_value("loss", 0.18744) == "0.187"
    assert format_difference("loss", -0.0524) == "−0.052"
    assert format_difference("accuracy", 0.0524) == "+5.2"
    assert format_difference("accuracy", 0.0004) == "0.0"
    assert format_difference("accuracy", -0.0004) == "0.0"
