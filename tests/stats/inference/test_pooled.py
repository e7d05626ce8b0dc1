from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.intervals import Spread, paired_difference
from normlab.stats.inference.pooled import error_term, pooled_spread, two_way_residuals, widest_arm
from normlab.stats.inference.power import detectable_difference


def table(values, status=None):
    values = np.asarray(values, dtype=float)
    arms = tuple("abcdefg"[: len(values)])
    cells = status or tuple(("finished",) * values.shape[1] for _ in arms)
    blocks = tuple(range(values.shape[1]))
    return PairedTable(Setting("sgd", 0.1, 32), "accuracy", "test", arms, blocks, values, cells)


def noise(arms, blocks, seed=0):
    return 0.8 + np.random.default_rng(seed).normal(0, 0.01, (arms, blocks))


def test_the_error_is_that_of_least_squares():
    values = noise(4, 5)
    rows = [(a, b) for a in range(4) for b in range(5)]
    design = np.array([[a == i for i in range(4)] + [b == j for j in range(1, 5)] for a, b in rows])
    fit = OLS(values.ravel(), design.astype(float)).fit()
    spread = pooled_spread(two_way_residuals(values))
    assert spread.sd == pytest.approx(np.sqrt(2 * fit.mse_resid), rel=1e-10)
    assert spread.df == fit.df_resid == 12


def test_two_arms_pooled_are_the_paired_test():
    values = noise(2, 6)
    spread = pooled_spread(two_way_residuals(values))
    difference = values[1] - values[0]
    assert spread.sd == pytest.approx(difference.std(ddof=1), rel=1e-12)
    assert paired_difference(difference, 0.05, spread).p_value == pytest.approx(
        stats.ttest_rel(values[1], values[0]).pvalue, abs=1e-12
    )


def test_an_arm_that_strays_alone_is_not_pooled():
    values = noise(5, 10)
    assert error_term(table(values)).spread is not None
    values[3] += np.random.default_rng(9).normal(0, 0.1, 10)
    term = error_term(table(values))
    assert term.spread is None
    assert term.reason.startswith("d varies ")


def test_a_missing_block_or_a_divergence_is_not_pooled():
    values = noise(4, 5)
    values[1, 2] = np.nan
    assert error_term(table(values)).reason == "some blocks lack an arm"
    status = [["finished"] * 5 for _ in range(4)]
    status[2][0] = "diverged"
    term = error_term(table(noise(4, 5), tuple(tuple(row) for row in status)))
    assert term.reason == "c diverged in a block"


def test_grubbs_takes_the_others_share_out():
    """Averaged over many studies the estimate is the arm's own variance, not its residual's."""
    random = np.random.default_rng(4)
    ratios = []
    for _ in range(400):
        values = random.normal(0, 1, (5, 12))
        values[1] *= 3
        arm, ratio = widest_arm(two_way_residuals(values))
        ratios.append(ratio if arm == 1 else 1.0)
    assert np.median(ratios) == pytest.approx(3, rel=0.1)


def test_the_difference_that_can_be_seen_is_seen_in_four_of_five_studies():
    """Against a simulation of five arms and three blocks."""
    effect = detectable_difference(5, 3)
    random = np.random.default_rng(1)
    found = 0
    for _ in range(2000):
        values = random.normal(0, 1, (5, 3))
        values[0] += effect
        spread = pooled_spread(two_way_residuals(values))
        found += paired_difference(values[0] - values[1], 0.05, spread).p_value < 0.05
    assert found / 2000 == pytest.approx(0.8, abs=0.03)
    assert detectable_difference(1, 5) is None
    assert detectable_difference(5, 1) is None


def test_ties_everywhere_have_no_error_to_pool():
    assert error_term(table(np.full((4, 5), 0.8))).spread is None


def test_identical_arms_stay_equal_beside_noisy_ones():
    found = paired_difference(np.zeros(5), 0.05, Spread(0.02, 12))
    assert (found.mean, found.p_value) == (0.0, 1.0)
