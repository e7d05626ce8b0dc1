"""The clause of one arm says what its interval says, in whole blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from normlab.stats.inference.intervals import Interval, share_better
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.verdict_clauses import _in_blocks, _open


@pytest.fixture
def comparison(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    runs = fabricate.make_runs(plan, effects={"bn": 0.0, "gn": -0.2}, sd=0.003)
    (setting,) = analyse(plan, runs).settings
    found = setting.verdict.comparison("gn", "bn")
    assert found is not None
    return found


def test_ties_are_said_and_never_counted_half(comparison) -> None:
    five = replace(comparison.difference, n=5)
    won = replace(comparison, difference=five, share=share_better(np.array([1, 1, 1, 1, 0.0])))
    assert _in_blocks(won) == ", better in 4 of 5 blocks, level in 1"
    whole = replace(won, share=share_better(np.array([1, 1, 1, -1, 1.0])))
    assert _in_blocks(whole) == ", better in 4 of 5 blocks"


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((-0.38, -0.31), "it was worse by 31.0 to 38.0 points, which is not enough to decide yet"),
        ((0.012, 0.03), "it was better by 1.2 to 3.0 points, which is not enough to decide yet"),
        ((-0.02, 0.01), "it may be worse by up to 2.0 or better by up to 1.0 points"),
    ],
)
def test_an_interval_on_one_side_is_said_on_one_side(comparison, ends, text) -> None:
    seen = replace(comparison, simultaneous=Interval(*ends, 0.95), forecast=None)
    assert _open(seen, "accuracy") == text
