from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from normlab.records.plan import AnalysisPlan
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import compare_all, find
from normlab.stats.inference.power import BLOCKS_CAP

ANALYSIS = AnalysisPlan()


def table(values, metric="accuracy", arms=None):
    values = np.asarray(values, dtype=float)
    arms = arms or ("bn", "in", "bin", "ln", "gn")[: len(values)]
    status = tuple(
        tuple("missing" if np.isnan(value) else "finished" for value in row) for row in values
    )
    blocks = tuple(range(values.shape[1]))
    return PairedTable(Setting("sgd", 0.1, 32), metric, "test", arms, blocks, values, status)


@pytest.fixture
def noisy():
    random = np.random.default_rng(1)
    effects = np.array([0.0, -0.05, 0.04, 0.0])[:, None]
    return table(0.8 + effects + random.normal(0, 0.006, (4, 6)))


def test_every_pair_is_compared_once_with_holm_over_all(noisy):
    comparisons = compare_all(noisy, ANALYSIS)
    assert len(comparisons) == 6
    raw = [pooled_oracle(noisy, b, a) for a, b in itertools.combinations(noisy.arms, 2)]
    oracle = multipletests(raw, method="holm")[1]
    assert [c.adjusted_p for c in comparisons] == pytest.approx(list(oracle), abs=1e-10)


def test_an_incomplete_design_is_compared_pair_by_pair(noisy):
    values = noisy.values.copy()
    values[0, 2] = np.nan
    comparisons = compare_all(table(values), ANALYSIS)
    found = [find(comparisons, "bin", "in").difference.p_value]
    oracle = stats.ttest_rel(values[2], values[1])
    assert found == pytest.approx([oracle.pvalue], abs=1e-10)


def pooled_oracle(noisy, arm, other):
    """statsmodels' least squares over arms and blocks, and its t test of the contrast."""
    arms, blocks = noisy.values.shape
    design = np.zeros((arms * blocks, arms + blocks - 1))
    for row, (a, b) in enumerate(itertools.product(range(arms), range(blocks))):
        design[row, a] = 1
        if b:
            design[row, arms + b - 1] = 1
    fit = OLS(noisy.values.ravel(), design).fit()
    contrast = np.zeros(arms + blocks - 1)
    contrast[noisy.arms.index(arm)], contrast[noisy.arms.index(other)] = 1, -1
    return float(fit.t_test(contrast).pvalue)


def test_holm_by_hand():
    # sorted .01 .03 .04 times 3, 2, 1, then never smaller than the one before: .03 .06 .06
    assert multipletests([0.03, 0.01, 0.04], method="holm")[1] == pytest.approx([0.06, 0.03, 0.06])


def test_decisions_and_their_mirror(noisy):
    comparisons = compare_all(noisy, ANALYSIS)
    assert find(comparisons, "bin", "bn").decision == "better"
    assert find(comparisons, "bn", "bin").decision == "worse"
    assert find(comparisons, "in", "bn").decision == "worse"
    mirrored = find(comparisons, "bn", "in")
    assert mirrored.difference.mean == -find(comparisons, "in", "bn").difference.mean
    assert mirrored.share.share == 1 - find(comparisons, "in", "bn").share.share
    back = mirrored.reversed()
    assert (back.arm, back.other, back.decision) == ("in", "bn", "worse")
    assert back.difference == find(comparisons, "in", "bn").difference
    assert find(comparisons, "bn", "nobody") is None


def test_for_the_loss_lower_is_better(noisy):
    comparisons = compare_all(table(noisy.values, metric="loss"), ANALYSIS)
    assert find(comparisons, "bin", "bn").decision == "worse"
    assert find(comparisons, "bin", "bn").difference.mean > 0
    assert find(comparisons, "bin", "bn").share.share == 0.0


def test_a_real_difference_inside_the_margin_is_practically_equal():
    base = np.linspace(0.79, 0.81, 8)
    near = base + 0.004 + np.array([1, -1] * 4) * 1e-4
    (comparison,) = compare_all(table([base, near]), ANALYSIS)
    assert comparison.adjusted_p < 1e-6
    assert comparison.equivalence_p < 1e-6
    assert comparison.decision == "practically equal"
    assert comparison.further_blocks == 0


def test_identical_arms_are_practically_equal():
    base = np.array([0.8, 0.81, 0.79])
    (comparison,) = compare_all(table([base, base]), ANALYSIS)
    assert comparison.decision == "practically equal"
    assert comparison.share.share == 0.5


def test_differences_equal_by_coincidence_decide_nothing():
    base = np.array([0.8, 0.81, 0.79])
    (comparison,) = compare_all(table([base, base + 0.05]), ANALYSIS)
    assert comparison.decision == "undecided"
    assert comparison.further_blocks == 3  # 2^(1 − 6) is the first below .05


def test_only_common_blocks_count():
    first = [0.8, 0.81, np.nan, 0.79]
    second = [0.7, np.nan, 0.72, 0.68]
    (comparison,) = compare_all(table([first, second]), ANALYSIS)
    assert comparison.difference.n == 2
    assert comparison.difference.mean == pytest.approx(-0.105)


def test_a_pair_without_two_blocks_stays_in_the_family():
    random = np.random.default_rng(0)
    values = 0.8 + random.normal(0, 0.01, (3, 4))
    values[2, 1:] = np.nan
    comparisons = compare_all(table(values), ANALYSIS)
    untested = find(comparisons, "bin", "bn")
    assert (untested.adjusted_p, untested.decision, untested.further_blocks) == (
        None,
        "undecided",
        None,
    )
    p = stats.ttest_rel(values[1], values[0]).pvalue
    assert find(comparisons, "in", "bn").adjusted_p == pytest.approx(min(1, 3 * p), abs=1e-10)


def test_hopeless_comparisons_say_more_than_the_cap():
    base = np.array([0.8, 0.81, 0.79, 0.8])
    (comparison,) = compare_all(table([base, base + np.array([0.2, -0.2, 0.2, -0.19])]), ANALYSIS)
    assert comparison.further_blocks == BLOCKS_CAP + 1


def test_one_arm_or_none_has_no_comparison():
    assert compare_all(table([[0.8, 0.9]]), ANALYSIS) == ()
    assert compare_all(table([[np.nan], [0.8]]), ANALYSIS) == ()
