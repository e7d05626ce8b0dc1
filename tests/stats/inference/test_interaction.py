from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM

from normlab.stats.data.pairing import PairedTable
from normlab.stats.data.setting import Setting
from normlab.stats.inference.interaction import interaction_f, interactions
from normlab.stats.summary.analysis import analyse


def test_f_is_that_of_statsmodels():
    values = np.random.default_rng(0).normal(0, 1, (3, 4, 6))
    f, df, epsilon = interaction_f(values)
    rows = [(a, b, c, values[a, b, c]) for a in range(3) for b in range(4) for c in range(6)]
    frame = pd.DataFrame(rows, columns=["arm", "level", "block", "value"])
    oracle = AnovaRM(frame, "value", "block", ["arm", "level"]).fit().anova_table.loc["arm:level"]
    assert f == pytest.approx(oracle["F Value"], rel=1e-10)
    assert df == (oracle["Num DF"], oracle["Den DF"])
    assert 1 / df[0] <= epsilon <= 1


def tables(values, sizes=(8, 32, 128)):
    arms = ("bn", "gn")
    blocks = tuple(range(values.shape[2]))
    status = tuple(("finished",) * len(blocks) for _ in arms)
    return [
        PairedTable(Setting("sgd", 0.1, size), "accuracy", "test", arms, blocks,
                    values[:, level], status)
        for level, size in enumerate(sizes)
    ]  # fmt: skip


def test_a_norm_that_breaks_at_small_batches_is_seen():
    values = np.random.default_rng(1).normal(0.8, 0.01, (2, 3, 6))
    (quiet,) = interactions(tables(values))
    assert quiet.p_value > 0.05
    values[0, 0] -= 0.2
    (loud,) = interactions(tables(values))
    assert (loud.factor, loud.levels, loud.arms) == ("batch size", ("8", "32", "128"), ("bn", "gn"))
    assert loud.p_value < 1e-4


def test_false_alarms_keep_to_alpha_though_levels_vary_unequally():
    random = np.random.default_rng(2)
    sd = np.array([0.03, 0.01, 0.01])[None, :, None]
    found = [
        interactions(tables(0.8 + sd * random.normal(0, 1, (2, 3, 6))))[0].p_value < 0.05
        for _ in range(1000)
    ]
    assert np.mean(found) <= 0.06


def test_one_level_or_one_block_has_no_interaction():
    values = np.random.default_rng(3).normal(0.8, 0.01, (2, 3, 1))
    assert interactions(tables(values)) == ()
    assert interactions(tables(np.zeros((2, 3, 4)))[:1]) == ()
    (tied,) = interactions(tables(np.full((2, 3, 4), 0.5)))
    assert (tied.f, tied.p_value) == (0.0, 1.0)


def test_settings_that_were_decided_at_different_looks_share_the_first_blocks():
    values = np.random.default_rng(4).normal(0.8, 0.01, (2, 3, 9))
    values[0, 0] -= 0.2
    first, second, third = tables(values)
    assert interactions([first, second.first(5), third.first(7)]) == interactions(
        tables(values[:, :, :5])
    )


def test_a_study_has_them(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=4, batch_size=(8, 32))
    analysis = analyse(plan, fabricate.make_runs(plan))
    assert [found.factor for found in analysis.interactions] == ["batch size"]
