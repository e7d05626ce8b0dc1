"""Rate curves: the metric over the learning rate of every arm, from all tuning points.

How tolerant a norm is to the rate is half of what people want to know: a norm that is best at one
rate and lost at twice that rate is another answer than one that holds over a decade.

    m(u) = Σ_i K((u − u_i)/h) y_i / Σ_i K((u − u_i)/h),   u = log₁₀ rate, K the Gaussian, h = HALF

Blocks are what repeats, so the error is taken over them: with the sums of weighted residuals
r_b(u) of each of n blocks, se² = n/(n−1) Σ_b r_b² / (Σ_i K)², and the band is m ± t(n−1)·se (a
cluster-robust error; Liang & Zeger 1986). Points are those of the first rung, which every arm tries
in full: later rungs have only what did well. A curve is drawn over the rates that two blocks
reached: beyond, one block's luck would be a curve with hardly any band.

An arm whose curve nowhere rises above guessing learns at no rate: a flat curve at chance level is
not one that bears every rate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from normlab.records.store import RunRecord
from normlab.records.tuning_results import TunedArm, TuningResults
from normlab.stats.data.chance import chance_bound, chance_share
from normlab.stats.data.metrics import is_share
from normlab.text import count

RATE = "learning_rate"
HALF = 0.2
"""Bandwidth of the kernel in decades."""
GRID = 41
"""Places on the axis at which a curve is drawn."""
LOSS = 0.05
"""A rate is bearable where no more than this share (five points) is lost against the arm's best."""


@dataclass(frozen=True, eq=False)
class RatePoint:
    """A learning rate that was tried in the first rung, and the score that it reached."""

    rate: float
    score: float
    block: int | None


@dataclass(frozen=True, eq=False)
class RateCurve:
    """The curve of one arm in one setting."""

    arm: str
    points: tuple[RatePoint, ...]
    rates: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    """Ends of the 95 % band; not a number where fewer than three blocks say something."""
    high: np.ndarray
    epochs: int
    """How long the points were trained."""
    chosen: tuple[float, ...]
    """The rate that the arm was given in each block."""
    guessing: float = -math.inf
    """The highest score that guessing reaches; what is never above it has learned nothing."""

    @property
    def learned(self) -> bool:
        """Whether the curve rises above guessing anywhere."""
        return bool(self.mean.max() > self.guessing)

    @property
    def bearable(self) -> tuple[float, float]:
        """Lowest and highest rate around the best at which the curve loses no more than LOSS."""
        best = int(self.mean.argmax())
        bad = np.flatnonzero(self.mean < self.mean[best] - LOSS)
        low = bad[bad < best].max(initial=-1) + 1
        high = bad[bad > best].min(initial=len(self.rates)) - 1
        return float(self.rates[low]), float(self.rates[high])


@dataclass(frozen=True, eq=False)
class RateCurves:
    """The curves of all arms in one setting."""

    setting: str
    metric: str
    blocks: int
    curves: tuple[RateCurve, ...]

    @property
    def sentence(self) -> str:
        """Which rates each arm bears; empty where the metric is a loss or nothing was tried."""
        if not is_share(self.metric) or not self.curves:
            return ""
        parts = []
        for curve in self.curves:
            if not curve.learned:
                parts.append(f"{curve.arm} at none: it only guesses")
                continue
            low, high = curve.bearable
            ends = (low <= curve.rates[0] * 1.001, high >= curve.rates[-1] * 0.999)
            if all(ends):
                parts.append(f"{curve.arm} at every rate that was tried")
            elif ends[1]:
                parts.append(f"{curve.arm} from {low:.2g} up")
            elif ends[0]:
                parts.append(f"{curve.arm} up to {high:.2g}")
            else:
                parts.append(f"{curve.arm} from {low:.2g} to {high:.2g}")
        lowest, highest = self.curves[0].rates[0], self.curves[0].rates[-1]
        where = " in two blocks or more" if self.blocks > 1 else ""
        return (
            f"Learning rates at which an arm stays within {100 * LOSS:.0f} points of its best "
            f"(after {count(self.curves[0].epochs, 'epoch')}; {lowest:.2g} to {highest:.2g} were "
            f"tried{where}): "
            f"{'; '.join(parts)}."
        )


def rate_curves(
    results: TuningResults | None, runs: Sequence[RunRecord] = ()
) -> tuple[RateCurves, ...]:
    """The curves of every setting whose learning rate was tuned.

    Args:
        results: the account of the tuning.
        runs: of the study, which say what guessing reaches.
    """
    if results is None or RATE not in results.ranges:
        return ()
    found: dict[str, dict[str, list[TunedArm]]] = defaultdict(lambda: defaultdict(list))
    for entry in results.arms:
        if entry.trials:
            found[entry.setting][entry.arm].append(entry)
    return tuple(_setting(name, results.metric, arms, runs) for name, arms in found.items())


def _setting(
    name: str, metric: str, arms: dict[str, list[TunedArm]], runs: Sequence[RunRecord]
) -> RateCurves:
    points = {arm: _points(entries) for arm, entries in arms.items()}
    blocks = len({entry.block for entries in arms.values() for entry in entries})
    grid = np.geomspace(*_reached(points), GRID)
    guessing = _guessing(runs, blocks) if is_share(metric) else -math.inf
    curves = []
    for arm, entries in arms.items():
        mean, low, high = _smooth(points[arm], grid)
        curves.append(
            RateCurve(
                arm=arm,
                points=points[arm],
                rates=grid,
                mean=mean,
                low=low,
                high=high,
                epochs=min(trial.epochs for entry in entries for trial in entry.trials),
                chosen=tuple(entry.chosen[RATE] for entry in entries),
                guessing=guessing,
            )
        )
    return RateCurves(name, metric, blocks, tuple(curves))


def _reached(points: Mapping[str, Sequence[RatePoint]]) -> tuple[float, float]:
    """Lowest and highest rate that two blocks reached; of one block its own."""
    rates: dict[int | None, list[float]] = defaultdict(list)
    for point in (point for found in points.values() for point in found):
        rates[point.block].append(point.rate)
    lowest = sorted(min(tried) for tried in rates.values())[:2]
    highest = sorted(max(tried) for tried in rates.values())[-2:]
    return lowest[-1], highest[0]


def _guessing(runs: Sequence[RunRecord], blocks: int) -> float:
    """What guessing reaches on the validation parts of all blocks together."""
    for run in runs:
        if run.outcome is not None and run.outcome.validation is not None:
            return chance_bound(chance_share(runs), blocks * run.outcome.validation.images)
    return -math.inf


def _points(entries: Sequence[TunedArm]) -> tuple[RatePoint, ...]:
    found = []
    for entry in entries:
        first = min(trial.epochs for trial in entry.trials)
        found += [
            RatePoint(trial.levels[RATE], trial.score, entry.block)
            for trial in entry.trials
            if trial.epochs == first
        ]
    return tuple(sorted(found, key=lambda point: point.rate))


def _smooth(
    points: Sequence[RatePoint], grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel mean and its band over blocks at every place of the grid."""
    u = np.log10([point.rate for point in points])
    y = np.array([point.score for point in points])
    blocks = np.unique([str(point.block) for point in points], return_inverse=True)[1]
    weights = np.exp(-0.5 * ((np.log10(grid)[:, None] - u[None, :]) / HALF) ** 2)
    total = weights.sum(1)
    mean = weights @ y / total
    n = int(blocks.max()) + 1
    if n < 3:
        nothing = np.full(len(grid), np.nan)
        return mean, nothing, nothing
    residuals = weights * (y[None, :] - mean[:, None])
    sums = np.stack([residuals[:, blocks == block].sum(1) for block in range(n)])
    error = np.sqrt(n / (n - 1) * (sums**2).sum(0)) / total
    half = student.ppf(0.975, n - 1) * error
    return mean, mean - half, mean + half
