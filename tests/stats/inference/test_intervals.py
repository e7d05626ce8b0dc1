from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from normlab.stats.inference.intervals import (
    Interval,
    paired_difference,
    share_better,
    summarise,
)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_paired_t_equals_scipy_and_statsmodels(n, alpha):
    random = np.random.default_rng(n)
    first, second = random.normal(0.8, 0.02, n), random.normal(0.79, 0.02, n)
    found = paired_difference(first - second, alpha)
    oracle = stats.ttest_rel(first, second)
    interval = oracle.confidence_interval(1 - alpha)
    assert found.p_value == pytest.approx(oracle.pvalue, abs=1e-10)
    assert found.interval.low == pytest.approx(interval.low, abs=1e-10)
    assert found.interval.high == pytest.approx(interval.high, abs=1e-10)
    second_oracle = DescrStatsW(first - second).tconfint_mean(alpha)
    assert (found.interval.low, found.interval.high) == pytest.approx(second_oracle, abs=1e-10)


def test_a_case_worked_by_hand():
    # d = 1, 2, 3: mean 2, sd 1, standard error 1/sqrt(3), t(.975; 2) = 4.302652729911275
    found = paired_difference(np.array([1.0, 2.0, 3.0]))
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.interval.high - 2.0 == pytest.approx(4.302652729911275 / 3**0.5, abs=1e-10)


def test_one_block_has_a_mean_and_no_interval():
    found = paired_difference(np.array([0.3]))
    assert (found.n, found.mean, found.sd, found.interval, found.p_value) == (
        1,
        0.3,
        None,
        None,
        None,
    )
    assert paired_difference(np.array([])).mean is None


def test_identical_arms_have_an_interval_of_zero_width():
    found = paired_difference(np.zeros(4))
    assert found.interval == Interval(0.0, 0.0, 0.95)
    assert found.p_value == 1.0


def test_equal_differences_that_are_not_zero_have_no_interval_and_the_sign_flip_p():
    # .9 − .8 and .4 − .3 are the same number but for their rounding
    differences = np.array([0.9, 0.4, 0.7]) - np.array([0.8, 0.3, 0.6])
    found = paired_difference(differences)
    assert np.ptp(differences) > 0
    assert found.interval is None
    assert found.p_value == 0.25
    # all 2^3 sign flips: only +++ and −−− are as far from zero
    exact = stats.permutation_test(
        (differences.round(10),), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.p_value == pytest.approx(exact.pvalue, abs=1e-10)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_the_truth(n):
    """Simulated coverage of the paired t interval; the formula is checked against ours above."""
    differences = np.random.default_rng(20 + n).normal(0.3, 1.0, (20_000, n))
    sample = paired_difference(differences[0])
    half = stats.t.ppf(0.975, n - 1) * differences.std(axis=1, ddof=1) / np.sqrt(n)
    assert sample.interval.high - sample.mean == pytest.approx(half[0], abs=1e-10)
    covered = np.abs(differences.mean(axis=1) - 0.3) <= half
    assert 0.935 <= covered.mean() <= 0.965
    # and the normal interval, which is too narrow, would be noticed
    narrow = 1.96 * differences.std(axis=1, ddof=1) / np.sqrt(n)
    assert (np.abs(differences.mean(axis=1) - 0.3) <= narrow).mean() < 0.935


def test_reversing_a_difference_mirrors_it():
    differences = np.array([0.1, 0.4, -0.2])
    assert paired_difference(-differences) == paired_difference(differences).reversed()


def test_mean_and_sd_leave_out_what_is_not_there():
    found = summarise(np.array([1.0, np.nan, 3.0]))
    assert (found.n, found.mean, found.sd) == (2, 2.0, pytest.approx(2**0.5))
    assert summarise(np.array([1.0])).sd is None
    assert summarise(np.array([np.nan])).mean is None


def test_share_better_counts_a_tie_half():
    found = share_better(np.array([0.1, 0.0, -0.1, 0.2]))
    assert (found.n, found.share) == (4, 0.625)
    # Wilson by hand: (p + z²/2n ± z·sqrt(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    z, p, n = stats.norm.ppf(0.975), 0.625, 4
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (centre - half, centre + half), abs=1e-10
    )


def test_share_better_equals_scipy_without_ties():
    found = share_better(np.array([0.1, 0.2, -0.1, 0.2, 0.3]))
    oracle = stats.binomtest(4, 5).proportion_ci(0.95, method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (oracle.low, oracle.high), abs=1e-10
    )
    assert share_better(np.array([])) is None


def test_ties_are_counted_from_either_side():
    found = share_better(np.array([0.1, 0.0, -0.1, 0.0]))
    assert (found.ties, found.reversed().ties, found.reversed().share) == (2, 2, 0.5)
