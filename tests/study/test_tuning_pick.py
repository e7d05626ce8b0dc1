"""The pick of a tuning against curves whose optimum is known."""

import numpy as np
import pytest

from normlab.study.tuning_pick import pick, sides_to_widen

RATES = tuple(10.0**x for x in np.linspace(-3, 0, 8))


def points(top: float, curvature: float = 0.03, noise: float = 0.0, seed: int = 0):
    """Scores of a parabola in log10 of the rate, with its top at 10^top."""
    random = np.random.default_rng(seed)
    return [
        ({"learning_rate": rate}, 0.8 - curvature * (np.log10(rate) - top) ** 2 + error)
        for rate, error in zip(RATES, random.normal(0, noise, len(RATES)), strict=True)
    ]


@pytest.mark.parametrize("top", [-2.7, -1.3, -0.2])
def test_the_top_of_a_parabola_is_found_between_the_points(top):
    found = pick(points(top), sign=1, chance=0.1)
    assert np.log10(found.levels["learning_rate"]) == pytest.approx(top, abs=0.01)
    assert found.fitted == pytest.approx(0.8, abs=1e-4)
    assert not found.outside


def test_of_losses_the_lowest_is_the_best():
    mirrored = [(levels, -score) for levels, score in points(-1.3)]
    found = pick(mirrored, sign=-1, chance=0.0)
    assert np.log10(found.levels["learning_rate"]) == pytest.approx(-1.3, abs=0.01)


@pytest.mark.parametrize(("top", "side", "rate"), [(0.8, "high", 1.0), (-4.0, "low", 0.001)])
def test_beyond_the_range_the_end_is_picked_and_the_side_named(top, side, rate):
    found = pick(points(top), sign=1, chance=0.1)
    assert found.levels["learning_rate"] == pytest.approx(rate)
    assert found.outside == {"learning_rate": side}
    assert sides_to_widen([found, pick(points(-1.0), 1, 0.1)]) == {"learning_rate": {side}}


def test_one_lucky_point_at_the_edge_widens_nothing():
    lucky = points(-1.4)
    lucky[-1] = (lucky[-1][0], 0.81)
    found = pick(lucky, sign=1, chance=0.1)
    assert not found.outside
    assert found.levels["learning_rate"] < 0.5


def test_rates_that_fail_do_not_bend_the_curve():
    cliff = points(-1.4)
    cliff[-2:] = [(levels, 0.1) for levels, _ in cliff[-2:]]
    found = pick(cliff, sign=1, chance=0.1)
    assert np.log10(found.levels["learning_rate"]) == pytest.approx(-1.4, abs=0.02)


def test_the_fit_loses_less_than_the_best_point_does():
    fitted, best = [], []
    for seed in range(200):
        tried = points(-1.4, noise=0.02, seed=seed)
        rate = pick(tried, sign=1, chance=0.1).levels["learning_rate"]
        fitted.append((np.log10(rate) + 1.4) ** 2)
        best.append((np.log10(max(tried, key=lambda p: p[1])[0]["learning_rate"]) + 1.4) ** 2)
    assert np.mean(fitted) < 0.75 * np.mean(best)


def test_two_parameters_are_fitted_together_and_too_few_points_take_the_best():
    random = np.random.default_rng(1)
    tried = []
    for _ in range(16):
        a, b = random.uniform(-3, 0), random.uniform(-5, -2)
        score = 0.8 - 0.03 * (a + 1) ** 2 - 0.02 * (b + 4) ** 2
        tried.append(({"learning_rate": 10**a, "weight_decay": 10**b}, score))
    found = pick(tried, sign=1, chance=0.1).levels
    assert np.log10(found["learning_rate"]) == pytest.approx(-1, abs=0.02)
    assert np.log10(found["weight_decay"]) == pytest.approx(-4, abs=0.02)
    few = pick(tried[:4], sign=1, chance=0.1)
    assert few.levels == max(tried[:4], key=lambda p: p[1])[0]
    assert few.fitted is None
