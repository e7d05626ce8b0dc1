from __future__ import annotations

import numpy as np
import pytest

from normlab.stats.data.layout import arrange
from normlab.stats.summary.curve_facts import TARGET_SHARE, curve_facts, first_epoch, roughness


def test_roughness_is_the_noise_and_not_the_slope():
    random = np.random.default_rng(0)
    straight = np.linspace(0.1, 0.9, 400)
    assert roughness(straight) == pytest.approx(0, abs=1e-12)
    assert roughness(straight + random.normal(0, 0.02, 400)) == pytest.approx(0.02, rel=0.1)
    assert roughness(np.array([0.0, 1.0, 0.0])) == pytest.approx(np.sqrt(2 / 3))
    assert roughness(np.array([0.0, 1.0])) is None


def test_facts_of_a_study(fabricate):
    plan = fabricate.make_plan(norms=("bn", "none"), blocks=4, epochs=20)
    (layout,) = arrange(plan, fabricate.make_runs(plan, statuses={("none", 1): "diverged"}))
    found = curve_facts(layout)
    bn, none = found.arms
    ends = [layout.record("bn", b).rows[-1].validation.accuracy for b in range(4)]
    assert found.target == pytest.approx(TARGET_SHARE * np.mean(ends))
    epochs = [first_epoch(layout.record("bn", b), found.target) for b in range(4)]
    assert bn.epochs_to_target.mean == np.mean([e for e in epochs if e is not None])
    assert bn.reached == sum(e is not None for e in epochs)
    assert none.roughness.n == 3  # a run that diverged has no curve to speak of
    assert bn.gap.interval.low <= bn.gap.mean <= bn.gap.interval.high


def test_without_a_finished_run_there_is_no_target(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    (layout,) = arrange(plan, [])
    found = curve_facts(layout)
    assert found.target is None
    assert found.arms[0].roughness.mean is None
