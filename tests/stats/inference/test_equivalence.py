from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from normlab.stats.inference.equivalence import equivalence_p_value
from normlab.stats.inference.intervals import paired_difference


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("margin", [0.01, 0.03])
def test_equals_statsmodels(n, margin):
    random = np.random.default_rng(n)
    first, second = random.normal(0.8, 0.01, n), random.normal(0.802, 0.01, n)
    oracle = ttost_paired(first, second, -margin, margin)[0]
    assert equivalence_p_value(first - second, margin) == pytest.approx(oracle, abs=1e-10)
    assert equivalence_p_value(first - second, margin) != pytest.approx(oracle + 1e-6, abs=1e-10)


def test_agrees_with_the_interval_of_twice_alpha():
    random = np.random.default_rng(3)
    for _ in range(200):
        differences = random.normal(0.3, 0.5, 6)
        interval = paired_difference(differences, alpha=0.10).interval
        inside = interval.low > -1 and interval.high < 1
        assert (equivalence_p_value(differences, 1.0) < 0.05) == inside


def test_too_few_blocks_and_equal_differences():
    assert equivalence_p_value(np.array([0.0]), 0.01) is None
    assert equivalence_p_value(np.zeros(2), 0.01) == 0.0
    assert equivalence_p_value(np.full(3, 0.005), 0.01) == 0.125
    assert equivalence_p_value(np.full(3, 0.01), 0.01) == 1.0


def test_a_margin_must_be_positive():
    with pytest.raises(ValueError, match="must be positive, but it is 0"):
        equivalence_p_value(np.zeros(3), 0)
