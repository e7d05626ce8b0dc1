import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from normlab.stats.inference.looks.failures import FAILURE_FREE, failure_bound, withheld


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


def test_enough_runs_without_a_failure_settle_it_but_one_failure_does_not() -> None:
    ok = np.full(FAILURE_FREE, 0.85)
    assert not withheld(failure_bound(0, FAILURE_FREE), ok, other=0.80, chance=0.25, sign=1)
    assert withheld(failure_bound(1, FAILURE_FREE + 1), ok, other=0.80, chance=0.25, sign=1)


def test_of_losses_a_lower_one_is_better() -> None:
    ok = np.full(5, 0.3)
    assert withheld(failure_bound(0, 5), ok, other=0.4, chance=1.4, sign=-1)
    assert not withheld(failure_bound(0, 5), ok, other=1.2, chance=1.4, sign=-1)
