"""The pick of an arm: the optimum of a smooth fit over its points, not the noisy maximum.

    score = a_rung + Σ_k (b_k u_k + c_k u_k²),   u = log₁₀ of the value

The maximum of p noisy scores is the luck of one of them; a fit averages over all. A network that
diverges says nothing of the curve's height, only that the rate is too high, and a rate curve is a
plateau with a cliff rather than a parabola: diverged points are left out, and of a single parameter
only the points within a decade of the best neighbourhood are fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from normlab.records.tuning_results import Levels, Trial

FITTED_DECADES = 1.0
"""Decades around the best neighbourhood that are fitted."""


@dataclass(frozen=True)
class Pick:
    """What an arm is given, and where its optimum seems to lie outside of what was tried."""

    levels: Levels
    outside: dict[str, str]
    """Parameter → "low" or "high", by the fit (or by the best point, where there is no fit)."""


def pick(trials: Sequence[Trial], sign: int) -> Pick:
    """The optimum of the fit, never outside of the range that was tried.

    Args:
        trials: all points of an arm in a block, of all rungs.
        sign: +1 where a higher score is better, −1 where a lower one is.

    Returns:
        The levels, rounded to three digits. Where fewer points are left than the fit has
        coefficients it is the best point of those that trained longest.
    """
    usable = [trial for trial in trials if trial.status != "diverged"] or list(trials)
    names = sorted(usable[0].levels)
    tried = {name: [trial.levels[name] for trial in trials] for name in names}
    if len(names) == 1:
        usable = _nearby(usable, names[0], sign)
    distinct = min(len({trial.levels[name] for trial in usable}) for name in names)
    rungs = sorted({trial.epochs for trial in usable})
    if distinct < 3 or len(usable) < len(rungs) + 2 * len(names):
        return _best_point(usable, tried, sign)
    u = np.array([[np.log10(trial.levels[name]) for name in names] for trial in usable])
    centre = u.mean(0)
    columns = [[float(trial.epochs == rung) for trial in usable] for rung in rungs]
    columns += [*(u - centre).T, *((u - centre) ** 2).T]
    scores = sign * np.array([trial.score for trial in usable])
    coefficients = np.linalg.lstsq(np.array(columns).T, scores, rcond=None)[0]
    slopes, curvatures = np.split(coefficients[len(rungs) :], 2)
    levels, outside = {}, {}
    for k, name in enumerate(names):
        at = _optimum(float(slopes[k]), float(curvatures[k])) + centre[k]
        lowest, highest = u[:, k].min(), u[:, k].max()
        # beyond points that diverged there is nothing to look for
        if at <= lowest and lowest == np.log10(min(tried[name])):
            outside[name] = "low"
        elif at >= highest and highest == np.log10(max(tried[name])):
            outside[name] = "high"
        inside = float(np.clip(at, lowest, highest))
        levels[name] = float(f"{10**inside:.3g}")
    return Pick(levels, outside)


def _optimum(slope: float, curvature: float) -> float:
    """Where b·u + c·u² has its maximum; without one infinitely far in the rising direction."""
    if curvature < 0:
        return -slope / (2 * curvature)
    return float(np.copysign(np.inf, slope)) if slope else 0.0


def _nearby(trials: Sequence[Trial], name: str, sign: int) -> list[Trial]:
    """The trials within FITTED_DECADES of the best neighbourhood, at least three rates of them.

    A neighbourhood is a rate with the next lower and the next higher one; of each the score of its
    longest training counts.
    """
    longest: dict[float, Trial] = {}
    for trial in sorted(trials, key=lambda trial: trial.epochs):
        longest[trial.levels[name]] = trial
    rates = sorted(longest)
    if len(rates) <= 3:
        return list(trials)
    longest_epochs = max(trial.epochs for trial in longest.values())
    candidates = [i for i, rate in enumerate(rates) if longest[rate].epochs == longest_epochs]
    scores = [sign * longest[rate].score for rate in rates]
    best = max(candidates, key=lambda i: float(np.mean(scores[max(0, i - 1) : i + 2])))
    distance = {rate: abs(float(np.log10(rate / rates[best]))) for rate in rates}
    third = sorted(distance.values())[2]
    reach = max(FITTED_DECADES, third)
    return [trial for trial in trials if distance[trial.levels[name]] <= reach + 1e-9]


def _best_point(trials: Sequence[Trial], tried: dict[str, list[float]], sign: int) -> Pick:
    longest = max(trial.epochs for trial in trials)
    best = max((t for t in trials if t.epochs == longest), key=lambda trial: sign * trial.score)
    outside = {}
    for name, value in best.levels.items():
        if value in (min(tried[name]), max(tried[name])):
            outside[name] = "low" if value == min(tried[name]) else "high"
    return Pick(best.levels, outside)
