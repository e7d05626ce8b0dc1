import numpy as np
import pytest
from scipy import integrate, optimize, stats

from normlab.stats.inference.looks.e_process import (
    PRIOR_VARIANCE,
    confidence_sequence,
    t_e_value,
)


def test_it_is_the_likelihood_ratio_of_the_t_statistic() -> None:
    d = np.random.default_rng(1).normal(0.5, 1, 9)
    t, n = stats.ttest_1samp(d, 0).statistic, len(d)

    def weighted(effect: float) -> float:
        prior = stats.norm.pdf(effect, scale=np.sqrt(PRIOR_VARIANCE))
        return float(prior * stats.nct.pdf(t, n - 1, effect * np.sqrt(n)))

    expected = integrate.quad(weighted, -6, 6)[0] / stats.t.pdf(t, n - 1)
    assert t_e_value(d) == pytest.approx(expected, rel=1e-6)


def test_without_a_difference_it_hardly_ever_exceeds_one_over_alpha_at_any_time() -> None:
    values = np.random.default_rng(2).normal(size=(800, 60))
    hit = [any(t_e_value(row[:n]) >= 20 for n in range(2, 61)) for row in values]
    assert np.mean(hit) <= 0.05


def test_with_a_difference_it_grows() -> None:
    values = np.random.default_rng(3).normal(1, 1, 40)
    assert t_e_value(values[:10]) < t_e_value(values[:40])
    assert t_e_value(values) > 1000


def test_the_sequence_holds_what_the_evidence_has_not_refuted() -> None:
    d = np.random.default_rng(4).normal(0.3, 1, 15)
    found = confidence_sequence(d, 0.05)
    assert found is not None
    edge = optimize.brentq(lambda m: t_e_value(d - m) - 20, d.mean(), d.mean() + 20)
    assert found.high == pytest.approx(edge, rel=1e-9)
    assert found.low == pytest.approx(2 * d.mean() - edge, rel=1e-9)


def test_few_or_equal_differences_say_nothing() -> None:
    assert t_e_value(np.array([3.0])) == t_e_value(np.full(9, 0.25)) == 1.0
    assert confidence_sequence(np.array([1.0, 2.0]), 0.001) is None
    assert confidence_sequence(np.full(9, 0.25), 0.05) is None
