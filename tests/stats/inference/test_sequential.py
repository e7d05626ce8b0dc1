from __future__ import annotations

import numpy as np
import pytest

from normlab.records.plan import parse_plan
from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.sequential import (
    look_levels,
    planned_looks,
    sequential_decisions,
    sequential_layouts,
    usual_looks,
)


def plan(looks=(4, 7, 10), blocks=10, **analysis):
    return parse_plan(
        {
            "name": "race",
            "blocks": blocks,
            "data": {"source": "nowhere"},
            "analysis": {"reference": "a", "looks": looks, **analysis},
        }
    )


def table(values):
    values = np.asarray(values, dtype=float)
    arms = tuple("abcdefg"[: len(values)])
    status = tuple(tuple("missing" if np.isnan(v) else "finished" for v in row) for row in values)
    blocks = tuple(range(values.shape[1]))
    setting = Setting("sgd", 0.1, 32)
    return PairedTable(setting, "accuracy", "test", arms, blocks, values, status)


def test_the_levels_of_the_method():
    """method.md: .00126, .0148 and .0415 at 4, 7 and 10 blocks."""
    assert look_levels((4, 7, 10), 0.05) == pytest.approx((0.00126, 0.0148, 0.0415), rel=0.05)
    assert look_levels((5,), 0.05) == (0.05,)


def test_the_levels_keep_alpha_where_peeking_does_not():
    random = np.random.default_rng(3)
    values = random.normal(0, 1, (20_000, 10))
    levels = look_levels((4, 7, 10), 0.05)
    from scipy import stats

    p_values = {n: stats.ttest_1samp(values[:, :n], 0, axis=1).pvalue for n in range(3, 11)}
    ours = np.any(
        [p_values[n] < level for n, level in zip((4, 7, 10), levels, strict=True)], axis=0
    )
    peeking = np.any([p < 0.05 for p in p_values.values()], axis=0)
    assert ours.mean() == pytest.approx(0.05, abs=0.005)
    assert peeking.mean() == pytest.approx(0.168, abs=0.01)  # method.md


def test_one_look_by_default_never_before_the_fifth_block():
    assert planned_looks(plan(looks=(), blocks=3)) == (5,)
    assert planned_looks(plan(looks=(), blocks=7)) == (7,)
    assert usual_looks(10) == (4, 7, 10)
    assert usual_looks(8) == (3, 6, 8)
    assert usual_looks(7) == ()


def test_a_hopeless_arm_is_dropped_and_the_race_ends_early():
    random = np.random.default_rng(0)
    effects = np.array([0.0, -0.2, 0.1])[:, None]
    values = 0.7 + effects + random.normal(0, 0.004, (3, 10))
    values[:, 4:] = np.nan
    decisions = sequential_decisions(table(values), plan())
    assert decisions.passed == 1
    assert decisions.over
    assert decisions.dropped == {"a": 4, "b": 4}
    assert {c.decision for c in decisions.comparisons} <= {"better", "worse"}


def test_a_dropped_arm_is_not_waited_for_and_its_decision_stands():
    random = np.random.default_rng(1)
    effects = np.array([0.0, -0.2, 0.0])[:, None]
    values = 0.7 + effects + random.normal(0, 0.01, (3, 10))
    early = values.copy()
    early[:, 4:] = np.nan
    first = sequential_decisions(table(early), plan())
    assert (first.dropped, first.over) == ({"b": 4}, False)
    later = values.copy()
    later[1, 4:] = np.nan
    decisions = sequential_decisions(table(later), plan())
    assert decisions.passed == 3
    found = {(c.arm, c.other): c for c in decisions.comparisons}
    assert found["b", "a"].difference.n == 4
    assert found["c", "a"].difference.n == 10
    assert found["b", "a"].decision == "worse"


def test_the_reference_stays_while_somebody_is_undecided_against_it():
    random = np.random.default_rng(5)
    effects = np.array([-0.03, -0.03, 0.05])[:, None]
    values = 0.7 + effects + random.normal(0, 0.008, (3, 10))
    values[:, 4:] = np.nan
    decisions = sequential_decisions(table(values), plan())
    assert (
        "a" in decisions.dropped
        or all(c.decision != "undecided" for c in decisions.comparisons if "a" in (c.arm, c.other))
        or "b" in decisions.dropped
    )
    assert "c" not in decisions.dropped


def test_an_unfinished_look_is_not_taken():
    values = np.random.default_rng(2).normal(0.7, 0.01, (3, 10))
    values[:, 4:] = np.nan
    values[2, 3] = np.nan
    assert sequential_decisions(table(values), plan()).passed == 0


def test_cells_that_are_not_needed_are_called_so(fabricate):
    study = fabricate.make_plan(norms=("bn", "none"), blocks=10, analysis={"looks": (4, 7, 10)})
    runs = [run for run in fabricate.make_runs(study, sd=0.002) if run.spec.block < 4]
    ((layout, decisions),) = sequential_layouts(study, runs)
    assert decisions.over
    assert layout.status("none", 7) == "not needed"
    assert layout.status("bn", 9) == "not needed"
    assert layout.status("bn", 3) == "finished"
