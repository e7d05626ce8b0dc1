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
    assert clear.high is not None
    assert clear.low == 1
    assert clear.high <= 8
    flat = forecast(0.0, 1.0, 400.0, 19, rules(), None)
    assert flat == Forecast(None, None)


def test_equality_is_found_too() -> None:
    assert forecast(0.0, 1.0, 40.0, 5, rules(), 5.0).low == 1
    assert forecast(0.0, 1.0, 40.0, 5, rules(), 5.0, floor=9000.0).high is None


def test_nothing_is_left_at_the_cap_or_without_any_spread() -> None:
    assert forecast(1.0, 1.0, 9.0, 20, rules(), None) == Forecast(None, None)
    assert forecast(1.0, 0.0, 9.0, 5, rules(), None) == Forecast(None, None)


def test_the_same_records_give_the_same_range() -> None:
    assert forecast(0.5, 1.0, 4.0, 5, rules(), 0.1) == forecast(0.5, 1.0, 4.0, 5, rules(), 0.1)


@pytest.mark.parametrize("sd", [0.85, 1.5, 3.0])
@pytest.mark.slow
def test_the_range_holds_four_fifths_of_the_studies(sd: float) -> None:
    """One point apart; a study that stays open lies in a range without an upper end."""
    random = np.random.default_rng(int(100 * sd))
    right = total = 0
    for _ in range(300):
        d = random.normal(1.0, sd, 20)
        more = _decided(d) - 5
        if more <= 0:
            continue
        range_ = forecast(d[:5].mean(), d[:5].var(ddof=1), 4.0, 5, rules(), None)
        low, high = (np.inf if end is None else end for end in (range_.low, range_.high))
        total += 1
        right += low <= more <= high
    assert total > 200
    assert right / total >= 0.8 - 2 * np.sqrt(0.16 / total)


def _decided(d: np.ndarray) -> float:
    looks = every_block(20)
    for n in looks:
        if stats.ttest_1samp(d[:n], 0).pvalue < level(looks, n, 0.045):
            return n
    return np.inf
