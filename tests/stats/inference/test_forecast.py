import numpy as np
import pytest
from scipy import stats

from normlab.stats.inference.forecast import Forecast, Rules, forecast
from normlab.stats.inference.looks.boundaries import every_block, level


def rules(cap: int = 20, alpha: float = 0.045) -> list[Rules]:
    looks = every_block(cap)
    return [Rules(n, level(looks, n, alpha), level(looks, n, alpha)) for n in looks]


def test_a_clear_difference_is_decided_soon_and_none_not_at_all() -> None:
    clear = forecast(2.0, 1.0, 40.0, 5, rules(), None)
    assert clear.median is not None
    assert clear.median <= 3
    assert clear.within > 0.95
    flat = forecast(0.0, 1.0, 400.0, 19, rules(), None)
    assert flat == Forecast(None, None, None, flat.within)
    assert flat.within < 0.1


def test_equality_is_found_too() -> None:
    assert forecast(0.0, 1.0, 40.0, 5, rules(), 5.0).median == 1
    assert forecast(0.0, 1.0, 40.0, 5, rules(), 5.0, floor=900.0).median is None


def test_nothing_is_left_at_the_cap_or_without_any_spread() -> None:
    assert forecast(1.0, 1.0, 9.0, 20, rules(), None) == Forecast(None, None, None, 0.0)
    assert forecast(1.0, 0.0, 9.0, 5, rules(), None) == Forecast(None, None, None, 0.0)


def test_the_same_records_give_the_same_range() -> None:
    assert forecast(0.5, 1.0, 4.0, 5, rules(), 0.1) == forecast(0.5, 1.0, 4.0, 5, rules(), 0.1)


@pytest.mark.parametrize("sd", [0.85, 1.5, 3.0])
@pytest.mark.slow
def test_the_median_is_decided_by_then_in_about_half_of_the_studies(sd: float) -> None:
    """Over wide true differences, as the forecast assumes. Blocks are whole numbers, and only
    studies with a median inside the plan are counted: both lift the share a little above a half.
    """
    random = np.random.default_rng(int(100 * sd))
    right = total = 0
    for _ in range(400):
        d = random.normal(random.normal(0, 3 * sd), sd, 20)
        decided = _decided(d)
        if decided <= 5:
            continue
        range_ = forecast(d[:5].mean(), d[:5].var(ddof=1), 4.0, 5, rules(), None)
        if range_.median is not None:
            total += 1
            right += decided <= 5 + range_.median
    assert total > 40
    assert 0.4 <= right / total <= 0.75


def _decided(d: np.ndarray) -> float:
    looks = every_block(20)
    for n in looks:
        if stats.ttest_1samp(d[:n], 0).pvalue < level(looks, n, 0.045):
            return n
    return np.inf
