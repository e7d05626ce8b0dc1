"""Rate curves: the kernel mean, its band over blocks, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.stats.summary.rate_curves import HALF, rate_curves
from normlab.stats.summary.words.reasons import rate_ranges


def account(arms: dict[str, float], blocks: int, noise: float = 0.01, seed: int = 0):
    """Arms whose accuracy is .9 up to their highest rate and .5 above it."""
    generator = np.random.default_rng(seed)
    entries = []
    for block in range(blocks):
        rates = np.geomspace(0.001, 1.0, 7) * 10 ** generator.uniform(-0.2, 0.0)
        for arm, highest in arms.items():
            trials = tuple(
                Trial(
                    levels={"learning_rate": float(rate)},
                    epochs=4,
                    score=float((0.9 if rate < highest else 0.5) + generator.normal(0, noise)),
                    status="finished",
                )
                for rate in rates
            )
            entries.append(
                TunedArm(
                    setting="sgd, batch 32",
                    arm=arm,
                    block=block,
                    trials=trials,
                    chosen={"learning_rate": highest / 2},
                    at_edge=(),
                    runs=7,
                    epochs=28,
                    seconds=1.0,
                )
            )
    ranges = {"learning_rate": (0.001, 1.0)}
    return TuningResults(metric="accuracy", blocks=(), ranges=ranges, arms=tuple(entries))


def test_the_mean_is_the_kernel_mean() -> None:
    (found,) = rate_curves(account({"bn": 0.1}, 4))
    (curve,) = found.curves
    u = np.log10([point.rate for point in curve.points])
    y = np.array([point.score for point in curve.points])
    weights = np.exp(-0.5 * ((np.log10(curve.rates[7]) - u) / HALF) ** 2)
    assert curve.mean[7] == pytest.approx(np.average(y, weights=weights))
    assert (curve.low <= curve.mean).all()
    assert (curve.mean <= curve.high).all()
    assert found.blocks == 4


def test_the_band_covers_over_blocks() -> None:
    """At a flat place the band holds the truth in about 95 % of studies."""
    covered = []
    for seed in range(300):
        (found,) = rate_curves(account({"bn": 2.0}, 6, noise=0.03, seed=seed))
        curve = found.curves[0]
        covered.append(curve.low[20] <= 0.9 <= curve.high[20])
    assert 0.90 <= np.mean(covered) <= 0.99


def test_fewer_than_three_blocks_have_no_band() -> None:
    (found,) = rate_curves(account({"bn": 0.1}, 2))
    assert np.isnan(found.curves[0].low).all()


def test_the_sentence_says_which_rates_an_arm_bears() -> None:
    (found,) = rate_curves(account({"bn": 2.0, "gn": 0.1}, 8))
    assert found.sentence.startswith("Learning rates at which an arm stays within 5 points")
    assert "bn at every rate that was tried" in found.sentence
    low, high = found.curves[1].bearable
    assert low == pytest.approx(found.curves[1].rates[0])
    assert 0.02 < high < 0.12
    assert f"gn up to {high:.2g}" in found.sentence


def test_nothing_tuned_has_no_curves() -> None:
    assert rate_curves(None) == ()


def test_an_arm_that_only_guesses_bears_no_rate(fabricate) -> None:
    """Four classes and 1,000 validation images: .9 is learned, .25 is not."""
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=4)
    results = account({"bn": 2.0, "gn": 0.1}, 4)
    guessed = tuple(
        arm.model_copy(
            update={"trials": tuple(t.model_copy(update={"score": 0.25}) for t in arm.trials)}
        )
        if arm.arm == "gn"
        else arm
        for arm in results.arms
    )
    results = results.model_copy(update={"arms": guessed})
    (found,) = rate_curves(results, fabricate.make_runs(plan))
    assert [curve.learned for curve in found.curves] == [True, False]
    assert "gn at none: it only guesses" in found.sentence
    assert rate_ranges(found, "bn", "sgd, batch 32") == []


def test_the_curve_ends_where_one_block_alone_went_on() -> None:
    """One block whose range was widened twice."""
    results = account({"bn": 2.0}, 3)
    far = Trial(levels={"learning_rate": 90.0}, epochs=4, score=0.1, status="finished")
    first = results.arms[0].model_copy(update={"trials": (*results.arms[0].trials, far)})
    (found,) = rate_curves(results.model_copy(update={"arms": (first, *results.arms[1:])}))
    assert found.curves[0].rates[-1] <= 1.0
    assert max(point.rate for point in found.curves[0].points) == 90.0
    assert np.isfinite(found.curves[0].high).all()
