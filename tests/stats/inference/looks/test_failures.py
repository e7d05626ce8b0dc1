import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from normlab.stats.inference.looks.failures import failure_bound, withheld


@pytest.mark.parametrize(("failed", "runs"), [(0, 5), (1, 5), (2, 20), (0, 14)])
def test_the_bound_is_that_of_clopper_and_pearson(failed: int, runs: int) -> None:
    upper = proportion_confint(failed, runs, alpha=0.1, method="beta")[1]
    assert failure_bound(failed, runs).upper == pytest.approx(upper)


def test_all_failed_or_none_run_allow_everything() -> None:
    assert failure_bound(4, 4).upper == failure_bound(0, 0).upper == 1.0


def test_better_is_withheld_while_a_possible_failure_rate_would_turn_it_around() -> None:
    ok = np.full(5, 0.85)
    assert withheld(failure_bound(0, 5), ok, other=0.80, chance=0.25, sign=1)
    assert not withheld(failure_bound(0, 5), ok, other=0.50, chance=0.25, sign=1)


def test_no_number_of_clean_runs_is_an_exception() -> None:
    for runs in (14, 20, 40):
        ok = np.full(runs, 0.81)
        assert withheld(failure_bound(0, runs), ok, other=0.80, chance=0.25, sign=1)
    ok = np.full(40, 0.86)
    assert not withheld(failure_bound(0, 40), ok, other=0.80, chance=0.25, sign=1)
    assert withheld(failure_bound(3, 43), ok, other=0.80, chance=0.25, sign=1)


def test_of_losses_a_lower_one_is_better() -> None:
    ok = np.full(5, 0.3)
    assert withheld(failure_bound(0, 5), ok, other=0.4, chance=1.4, sign=-1)
    assert not withheld(failure_bound(0, 5), ok, other=1.2, chance=1.4, sign=-1)
