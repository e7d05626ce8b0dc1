from __future__ import annotations

import pytest
from scipy import stats

from normlab.stats.inference.across_datasets import over_datasets
from normlab.stats.summary.analysis import analyse


def settings(fabricate, effects, **options):
    found = []
    for number, effect in enumerate(effects):
        plan = fabricate.make_plan(norms=("bn", "gn"), blocks=3, **options)
        runs = fabricate.make_runs(plan, effects={"gn": effect}, seed=number, sd=0.001)
        found.append(analyse(plan, runs).settings[0])
    return found


def test_the_interval_is_over_data_sets(fabricate):
    one = settings(fabricate, (0.03, 0.02, -0.04, 0.05))
    (row,) = over_datasets(one, "bn")
    means = [s.verdict.comparison("gn", "bn").difference.mean for s in one]
    assert row.differences == tuple(means)
    assert row.over.n == 4
    low, high = stats.t.interval(0.95, 3, loc=sum(means) / 4, scale=stats.sem(means))
    assert (row.over.interval.low, row.over.interval.high) == pytest.approx((low, high))
    assert (row.better, row.worse, row.ties) == (3, 1, 0)
    assert row.sign_p == pytest.approx(stats.binomtest(3, 4).pvalue)


def test_a_smaller_loss_is_better(fabricate):
    (row,) = over_datasets(settings(fabricate, (0.05, 0.05), analysis={"metric": "loss"}), "bn")
    assert row.over.mean < 0
    assert (row.better, row.worse) == (2, 0)


def test_an_arm_that_a_data_set_lacks_is_not_counted_there(fabricate):
    (full,) = settings(fabricate, (0.02,))
    plan = fabricate.make_plan(norms=("bn", "ln"), blocks=3)
    other = analyse(plan, fabricate.make_runs(plan)).settings[0]
    rows = {row.arm: row for row in over_datasets([full, other], "bn")}
    assert rows["gn"].differences[1] is None
    assert rows["gn"].over.n == rows["ln"].over.n == 1
    assert rows["gn"].over.interval is None
