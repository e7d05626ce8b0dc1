import itertools

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from normlab.stats.inference.looks.closed_test import ClosedTest, equal_sets

ALPHA = 0.05


def by_definition(p_values: np.ndarray, arms: int) -> np.ndarray:
    """A pair differs if every set of pairs that may be equal together and holds it is refuted."""
    pairs = list(itertools.combinations(range(arms), 2))
    different = []
    for pair in pairs:
        refuted = True
        for groups in itertools.product(range(arms), repeat=arms):
            inside = [i for i, (a, b) in enumerate(pairs) if groups[a] == groups[b]]
            if pairs.index(pair) in inside:
                refuted &= bool(p_values[inside].min() <= ALPHA / len(inside))
        different.append(refuted)
    return np.array(different)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("arms", [3, 4])
def test_it_is_the_closed_test(arms: int, seed: int) -> None:
    p_values = np.random.default_rng(seed).beta(0.15, 1, arms * (arms - 1) // 2)
    test = ClosedTest(arms)
    test.learn(p_values)
    assert test.different(ALPHA).tolist() == by_definition(p_values, arms).tolist()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.slow
def test_it_finds_all_that_holm_finds(seed: int) -> None:
    p_values = np.random.default_rng(seed).beta(0.2, 1, 15)
    test = ClosedTest(6)
    test.learn(p_values)
    holm = multipletests(p_values, ALPHA, "holm")[0]
    assert not (holm & ~test.different(ALPHA)).any()


def test_many_arms_fall_back_on_holm() -> None:
    p_values = np.random.default_rng(0).beta(0.2, 1, 36)
    test = ClosedTest(9)
    test.learn(p_values)
    assert test.different(ALPHA).tolist() == multipletests(p_values, ALPHA, "holm")[0].tolist()


def test_two_arms_are_tested_at_alpha_itself() -> None:
    test = ClosedTest(2)
    test.learn(np.array([0.049]))
    assert (test.divisors(ALPHA).tolist(), test.different(ALPHA).tolist()) == ([1], [True])


def test_what_was_shown_at_one_look_helps_at_the_next() -> None:
    test = ClosedTest(3)  # pairs ab, ac, bc
    test.learn(np.array([0.001, 0.5, 0.5]))
    assert test.different(ALPHA).tolist() == [True, False, False]
    test.learn(np.array([1.0, 0.04, 0.5]))  # ab alone is refuted already: ac needs α, not α/3
    assert test.different(ALPHA).tolist() == [True, True, False]


def test_five_arms_have_51_sets_beside_the_empty_one() -> None:
    assert len(equal_sets(5)[1]) == 51  # Bell's number 52, less the way in which all differ
