from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normlab.stats.inference.sign_flip import sign_flip_p_value


@pytest.mark.parametrize("seed", range(4))
def test_it_is_scipys_permutation_test(seed):
    d = np.random.default_rng(seed).normal(0.5, 1, 9)
    oracle = stats.permutation_test(
        (d,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p_value(d) == pytest.approx(oracle.pvalue, abs=1e-12)


def test_the_smallest_possible_values():
    """method.md: n = 8 gives .0078, 10 gives .002; below six there is nothing to see."""
    assert sign_flip_p_value(np.ones(5)) is None
    assert sign_flip_p_value(np.arange(1.0, 9)) == pytest.approx(0.0078125)
    assert sign_flip_p_value(np.arange(1.0, 11)) == pytest.approx(0.001953125)
    assert sign_flip_p_value(np.zeros(7)) == 1.0


def test_many_blocks_are_drawn_and_repeat():
    d = np.random.default_rng(0).normal(0.3, 1, 30)
    p = sign_flip_p_value(d)
    assert p == sign_flip_p_value(d)
    assert p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)
