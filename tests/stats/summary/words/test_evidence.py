"""Contrasts against scipy's own paired t, and how differences are said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normlab.stats.summary.words.evidence import (
    Measure,
    against_text,
    comparison_text,
    contrast,
    contrasts,
    level_measure,
)

POINTS = level_measure("accuracy", "test")


def values(**arms):
    return {arm: np.array(row, dtype=float) for arm, row in arms.items()}


def test_intervals_are_those_of_scipy_at_bonferronis_level() -> None:
    found = values(
        bn=[0.90, 0.92, 0.91, 0.93, 0.90],
        gn=[0.85, 0.88, 0.86, 0.87, 0.86],
        ln=[0.90, 0.91, 0.92, 0.92, 0.91],
    )
    gn, ln = contrasts(found, "bn", 0.05)
    for one in (gn, ln):
        truth = stats.ttest_rel(found[one.arm], found["bn"]).confidence_interval(1 - 0.05 / 2)
        assert one.interval.low == pytest.approx(truth.low)
        assert one.interval.high == pytest.approx(truth.high)
    assert gn.shown
    assert not ln.shown
    assert gn.nearest == pytest.approx(-gn.interval.high)
    text = comparison_text(POINTS, found, "bn", 0.05)
    low, high = 100 * -gn.interval.high, 100 * -gn.interval.low
    assert text == (
        f"Test accuracy: bn has 91.2 %; gn is 4.8 points lower ({low:.1f} to {high:.1f}); ln is "
        f"not shown to differ from bn (between {-100 * ln.interval.low:.1f} points lower and "
        f"{100 * ln.interval.high:.1f} higher)."
    )


def test_only_common_blocks_count() -> None:
    nan = np.nan
    found = values(bn=[0.9, 0.8, nan], gn=[0.7, nan, 0.1])
    (one,) = contrasts(found, "bn", 0.05)
    assert (one.n, one.difference) == (1, pytest.approx(-0.2))
    assert one.interval is None
    assert not one.shown
    assert "gn is not shown to differ from bn (one block: 20.0 points lower)" in comparison_text(
        POINTS, found, "bn", 0.05
    )
    assert contrast(found["bn"], np.full(3, nan), ("bn", "gn"), 0.05) is None


def test_no_variance_at_all() -> None:
    same = values(bn=[0.9] * 5, gn=[0.9] * 5)
    assert comparison_text(POINTS, same, "bn", 0.05).endswith("(the same in every block).")
    few = values(bn=[0.9] * 5, gn=[0.8] * 5)
    assert comparison_text(POINTS, few, "bn", 0.05).endswith(
        "(10.0 points lower in every block, too few to be sure)."
    )
    many = values(bn=[0.9] * 6, gn=[0.8] * 6)
    assert comparison_text(POINTS, many, "bn", 0.05).endswith("10.0 points lower in every block.")


def test_an_arm_without_values_is_replaced_as_the_base() -> None:
    found = values(bn=[np.nan, np.nan], gn=[0.8, 0.9], none=[0.5, 0.7])
    (one,) = contrasts(found, "bn", 0.05)
    assert (one.arm, one.other) == ("none", "gn")
    text = comparison_text(POINTS, found, "bn", 0.05)
    assert text.startswith("Test accuracy: gn has 85.0 %; no normalization (none) is not shown")
    assert comparison_text(POINTS, values(bn=[0.9], gn=[np.nan]), "bn", 0.05) == ""


def test_many_arms_that_do_not_differ_are_listed() -> None:
    random = np.random.default_rng(0)
    found = {arm: 0.9 + random.normal(0, 0.01, 4) for arm in ("bn", "in", "ln", "gn")}
    text = against_text(POINTS, contrasts(found, "bn", 1e-6))
    assert text == "in, ln and gn are not shown to differ from bn"


def test_a_gap_below_zero_keeps_its_sign() -> None:
    measure = Measure("Gap", "wider", "narrower", 100.0, 1, "points", "has {} points")
    text = comparison_text(measure, values(bn=[-0.02, -0.03], gn=[0.01, 0.02]), "bn", 0.05)
    assert text.startswith("Gap: bn has −2.5 points; gn is")
