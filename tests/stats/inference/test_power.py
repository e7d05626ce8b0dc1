from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from normlab.stats.inference.power import blocks_to_decide


def by_search(mean, sd, margin, alpha):
    """The definition, one n at a time."""
    for n in range(2, 2001):
        error = sd / np.sqrt(n)
        excludes_zero = stats.t.ppf(1 - alpha / 2, n - 1) * error < abs(mean)
        if excludes_zero or abs(mean) + stats.t.ppf(1 - alpha, n - 1) * error < margin:
            return n
    return None


@pytest.mark.parametrize(
    ("mean", "sd", "margin", "alpha"),
    [
        (0.02, 0.01, 0.01, 0.05),
        (-0.02, 0.03, 0.01, 0.05),
        (0.001, 0.01, 0.01, 0.05),
        (0.01, 0.02, 0.01, 0.05 / 21),
        (0.0099, 0.05, 0.01, 0.01),
    ],
)
def test_equals_the_definition(mean, sd, margin, alpha):
    assert blocks_to_decide(mean, sd, margin, alpha) == by_search(mean, sd, margin, alpha)


def test_a_case_worked_by_hand():
    # sd = difference: t(.975; n − 1) < sqrt(n); t = 2.571 at n = 6 (2.449), 2.447 at n = 7 (2.646)
    assert blocks_to_decide(1.0, 1.0, 1e-6, 0.05) == 7


def test_hopeless_is_none():
    assert blocks_to_decide(1e-6, 1.0, 1e-7, 0.05) is None


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 2.0**-4])
def test_equal_blocks_wait_for_the_sign_flip(alpha):
    n = blocks_to_decide(0.02, 0.0, 0.01, alpha)
    assert 2.0 ** (1 - n) < alpha <= 2.0 ** (2 - n)
