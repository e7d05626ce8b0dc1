"""The pick: the optimum of a smooth fit over an arm's points."""

from __future__ import annotations

import numpy as np
import pytest

from normlab.records.tuning_results import Trial
from normlab.study.tuning.fit import pick


def trial(rate: float, score: float, epochs: int = 3, status: str = "finished") -> Trial:
    return Trial(levels={"learning_rate": rate}, epochs=epochs, score=score, status=status)


def parabola(best: float, curvature: float = 0.1):
    return lambda rate: 0.9 - curvature * float(np.log10(rate / best)) ** 2


@pytest.mark.parametrize("best", [0.01, 0.04, 0.3])
def test_an_exact_parabola_gives_its_vertex(best: float) -> None:
    score = parabola(best)
    trials = [trial(rate, score(rate)) for rate in (0.002, 0.01, 0.05, 0.25, 0.9)]
    found = pick(trials, 1)
    assert found.levels["learning_rate"] == pytest.approx(best, rel=0.01)
    assert found.outside == {}


def test_rungs_have_levels_of_their_own() -> None:
    """Longer training scores higher everywhere: that is no reason to prefer its points."""
    score = parabola(0.05)
    short = [trial(rate, score(rate) - 0.2, epochs=1) for rate in (0.01, 0.03, 0.1, 0.3)]
    longer = [trial(rate, score(rate), epochs=3) for rate in (0.03, 0.1)]
    assert pick(short + longer, 1).levels["learning_rate"] == pytest.approx(0.05, rel=0.01)


def test_the_fit_is_steadier_than_the_maximum() -> None:
    """Of 300 noisy curves the fit's rates vary less around the truth than the best points'."""
    generator = np.random.default_rng(0)
    rates, score = np.geomspace(0.005, 0.5, 8), parabola(0.05, 0.03)
    fitted, best = [], []
    for _ in range(300):
        trials = [trial(float(r), score(r) + generator.normal(0, 0.02)) for r in rates]
        fitted.append(np.log10(pick(trials, 1).levels["learning_rate"] / 0.05))
        top = max(trials, key=lambda t: t.score).levels["learning_rate"]
        best.append(np.log10(top / 0.05))
    assert np.square(fitted).mean() < 0.8 * np.square(best).mean()


def test_a_cliff_of_diverged_points_does_not_bend_the_curve() -> None:
    score = parabola(0.1)
    trials = [trial(rate, score(rate)) for rate in (0.003, 0.01, 0.03, 0.1, 0.3)]
    trials.append(trial(1.0, 0.1, status="diverged"))
    found = pick(trials, 1)
    assert found.levels["learning_rate"] == pytest.approx(0.1, rel=0.01)
    assert found.outside == {}


def test_rising_to_the_end_lies_outside_unless_the_end_diverged() -> None:
    rising = [trial(rate, 0.5 + 0.1 * np.log10(rate)) for rate in (0.003, 0.01, 0.03, 0.1)]
    assert pick(rising, 1).outside == {"learning_rate": "high"}
    assert pick(rising, 1).levels["learning_rate"] == 0.1
    cut = [*rising, trial(0.3, 0.1, status="diverged")]
    assert pick(cut, 1).outside == {}
    assert pick(cut, 1).levels["learning_rate"] == 0.1


def test_a_loss_is_better_where_it_is_lower() -> None:
    score = parabola(0.05)
    trials = [trial(rate, -score(rate)) for rate in (0.005, 0.02, 0.1, 0.4)]
    assert pick(trials, -1).levels["learning_rate"] == pytest.approx(0.05, rel=0.01)


def test_two_points_give_the_better_one() -> None:
    found = pick([trial(0.01, 0.5), trial(0.1, 0.6)], 1)
    assert found.levels == {"learning_rate": 0.1}
    assert found.outside == {"learning_rate": "high"}


def test_all_diverged_gives_a_point_that_was_tried() -> None:
    trials = [trial(rate, 0.1, status="diverged") for rate in (0.1, 0.3, 1.0)]
    assert pick(trials, 1).levels["learning_rate"] in (0.1, 0.3, 1.0)


def test_two_parameters_are_fitted_side_by_side() -> None:
    generator = np.random.default_rng(1)
    trials = []
    for _ in range(12):
        rate, decay = 10 ** generator.uniform(-3, 0), 10 ** generator.uniform(-5, -2)
        score = 0.9 - 0.1 * np.log10(rate / 0.03) ** 2 - 0.05 * np.log10(decay / 3e-4) ** 2
        levels = {"learning_rate": rate, "weight_decay": decay}
        trials.append(Trial(levels=levels, epochs=3, score=score, status="finished"))
    found = pick(trials, 1).levels
    assert found["learning_rate"] == pytest.approx(0.03, rel=0.02)
    assert found["weight_decay"] == pytest.approx(3e-4, rel=0.02)
