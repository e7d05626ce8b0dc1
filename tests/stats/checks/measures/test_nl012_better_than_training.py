from __future__ import annotations

import pytest
from statsmodels.stats.proportion import proportions_ztest

from normlab.stats.checks.base import StudyToCheck
from normlab.stats.checks.measures.nl012_better_than_training import better_than_training, excess


def test_excess_equals_statsmodels(fabricate):
    train, test = fabricate.make_measures(0.94, 4000), fabricate.make_measures(0.97, 1000)
    oracle = proportions_ztest([970, 3760], [1000, 4000])[0]
    assert excess(train, test) == pytest.approx(oracle, abs=1e-10)
    assert excess(test, train) == pytest.approx(-oracle, abs=1e-10)


def test_perfect_scores_have_no_excess(fabricate):
    perfect = fabricate.make_measures(1.0)
    assert excess(perfect, perfect) == 0.0


def test_validation_above_training_is_found(study, with_measures):
    plan, runs = study
    odd = with_measures(runs[0], "test", accuracy=0.98, images=7500)
    check = better_than_training(StudyToCheck(plan, [odd]))
    assert check.state == "finding"
    assert "bn, block 1: test 0.9800" in check.message
