import numpy as np
import pytest
from scipy import stats

from normlab.stats.inference.looks.boundaries import (
    Boundary,
    boundary,
    every_block,
    level,
    simulated,
)


def p_values(cap: int, repeats: int, seed: int) -> np.ndarray:
    """Of paired t after every block from the third, without any difference."""
    values = np.random.default_rng(seed).normal(size=(repeats, cap))
    return np.array([stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue for n in every_block(cap)])


@pytest.mark.parametrize("cap", [5, 10, 20])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_looks_after_every_block_are_wrong_together_with_alpha(cap: int, alpha: float) -> None:
    found = p_values(cap, 40_000, cap)
    levels = np.array([level(every_block(cap), n, alpha) for n in every_block(cap)])
    rate = (found < levels[:, None]).any(0).mean()
    assert rate == pytest.approx(alpha, abs=3 * np.sqrt(alpha / 40_000))


def test_at_alpha_of_one_in_twenty_the_shape_is_that_of_wang_and_tsiatis() -> None:
    found = [-stats.norm.ppf(level(every_block(20), n, 0.05) / 2) for n in (3, 10, 20)]
    assert found == pytest.approx([2.2963 * (n / 20) ** -0.25 for n in (3, 10, 20)], rel=1e-6)


def test_peeking_at_one_level_is_what_the_boundary_is_for() -> None:
    assert (p_values(10, 20_000, 1) < 0.05).any(0).mean() > 0.15


@pytest.mark.parametrize("blocks", [3, 7, 12])
@pytest.mark.parametrize("alpha", [0.00004, 0.004, 0.03, 0.3])
def test_the_overall_p_is_the_alpha_that_just_decides(blocks: int, alpha: float) -> None:
    one = boundary(every_block(12))
    assert one.overall(blocks, one.level(blocks, alpha)) == pytest.approx(alpha, rel=1e-6)


def test_a_single_look_has_alpha_itself() -> None:
    assert level((7,), 7, 0.02) == 0.02
    assert boundary((7,)).overall(7, 0.3) == 0.3


def test_other_looks_are_calibrated_on_demand_the_same_every_time() -> None:
    found = boundary((4, 7, 10))
    boundary.cache_clear()
    assert boundary((4, 7, 10)) == found
    values = p_values(10, 40_000, 3)[[1, 4, 7]]
    levels = np.array([found.level(n, 0.05) for n in (4, 7, 10)])
    assert (values < levels[:, None]).any(0).mean() == pytest.approx(0.05, abs=0.004)


def test_on_demand_and_the_table_agree() -> None:
    tabled = boundary(every_block(8))
    fresh = boundary((3, 4, 5, 6, 7, 8, 9)[:-1])
    assert fresh == tabled
    looks = (3, 4, 5, 6, 7, 8)
    drawn = Boundary(looks, tabled.critical, tabled.scales)
    assert drawn.level(8, 0.05) == level(looks, 8, 0.05)


def test_long_studies_have_the_simulated_boundary_in_the_table() -> None:
    looks = every_block(25)
    fresh, tabled = simulated(looks), boundary(looks)
    assert tabled.critical == pytest.approx(fresh.critical, rel=1e-9)
    assert tabled.scales == pytest.approx(fresh.scales, rel=1e-9)
    studies = [boundary(every_block(cap)).critical for cap in (30, 60, 100, 200, 500, 1000)]
    assert max(studies) - min(studies) < 0.05


def test_long_studies_still_have_eighteen_looks() -> None:
    looks = every_block(50)
    assert (len(looks), looks[0], looks[-1]) == (18, 3, 50)
    assert len(set(looks)) == 18
