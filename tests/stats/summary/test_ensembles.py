"""Ensembles and calibration against hand-worked cases and plain computations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from normlab.stats.data.layout import arrange
from normlab.stats.summary.classes import collect
from normlab.stats.summary.ensembles import ensemble_table, quality, reliability


def test_ece_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    labels = np.array([0, 1, 0, 1])
    bins = reliability(probabilities, labels, bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 2, 0]
    # two at .9 of which one is right, two at .6 of which both are
    assert bins.ece == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert bins.accuracy[8] == 0.5
    assert math.isnan(bins.accuracy[0])


def test_a_confidence_on_an_edge_lies_below_it() -> None:
    bins = reliability(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0]), bins=2)
    assert bins.count.tolist() == [1, 1]


def test_calibrated_answers_have_no_error() -> None:
    random = np.random.default_rng(0)
    first = random.uniform(0.5, 1, 200_000)
    labels = (random.random(len(first)) > first).astype(int)
    assert reliability(np.stack([first, 1 - first], 1), labels).ece < 0.005
    assert quality(np.stack([first, 1 - first], 1), labels).accuracy == pytest.approx(
        0.75, abs=0.01
    )


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    assert math.isfinite(quality(np.array([[1.0, 0.0]]), np.array([1])).loss)


@pytest.fixture
def layout(fabricate, tmp_path):
    plan = fabricate.make_plan(("bn", "gn"), blocks=3)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    (layout,) = arrange(plan, runs)
    return layout


def test_the_ensembles_of_a_setting(layout) -> None:
    collected = collect(layout)
    table = ensemble_table(layout, collected, 0.05)
    assert [(e.name, e.members, e.ensembles) for e in table.ensembles] == [
        ("bn", 3, 1),
        ("gn", 3, 1),
        ("all arms of a block", 2, 3),
        ("all arms and blocks", 6, 1),
    ]
    members = [collected.found["bn", b][0].probabilities for b in range(3)]
    labels = collected.found["bn", 0][0].labels
    mean = np.mean([m.astype(float) for m in members], axis=0)
    bn = table.ensembles[0]
    assert bn.ensemble["accuracy"].mean == pytest.approx((mean.argmax(1) == labels).mean())
    each = [(m.argmax(1) == labels).mean() for m in members]
    assert bn.member["accuracy"].mean == pytest.approx(np.mean(each))
    assert bn.gain.mean == pytest.approx(bn.ensemble["accuracy"].mean - np.mean(each))
    loss = -np.log(mean[np.arange(len(labels)), labels]).mean()
    assert bn.ensemble["loss"].mean == pytest.approx(loss)
    assert bn.ensemble["loss"].mean <= bn.member["loss"].mean  # Jensen
    assert table.ensembles[2].ensemble["accuracy"].n == 3
    assert table.ensembles[2].gain is None


def test_one_network_is_no_ensemble(fabricate, tmp_path) -> None:
    plan = fabricate.make_plan(("bn",), blocks=1)
    runs = fabricate.write_study(tmp_path / "study", plan, fabricate.make_runs(plan))
    (layout,) = arrange(plan, runs)
    assert ensemble_table(layout, collect(layout), 0.05) is None


def test_no_predictions_no_table(layout) -> None:
    for arm in layout.arms:
        for block in layout.blocks:
            (layout.record(arm, block).folder / "predictions.npz").unlink()
    assert ensemble_table(layout, collect(layout), 0.05) is None
