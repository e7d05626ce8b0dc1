"""The pick of a tuning: the optimum of a smooth curve through all points, not their noisy maximum.

    score(x) ≈ a + Σ_j (b_j·x_j + c_j·x_j²),    x_j = log10 of parameter j

is fitted by least squares to one block's points. Where the curve bends down (c_j < 0) the pick is
its vertex −b_j/(2·c_j), else the end of the range with the higher fitted score; it never lies
outside of what was tried. A single lucky point moves the curve a little; the best of eight noisy
points is luck for the most part.

Points far below the best say that a rate fails, not how the curve bends near its top: those that
lost more than half of the way from the best score to chance are left out, as long as three remain.
Where points are too few for the curve (fewer than 1 + 2·parameters), the best point is the pick.

Source: Box & Wilson 1951, "On the experimental attainment of optimum conditions".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from normlab.records.tuning_results import Levels

Side = Literal["low", "high"]
_LOST = 0.5
"""Of the way from the best score to chance; points below are left out of the fit."""


@dataclass(frozen=True)
class Pick:
    """What one block's tuning chose for one arm."""

    levels: Levels
    fitted: float | None
    """The score of the curve at the pick; None where the best point was taken."""
    outside: Mapping[str, Side]
    """Parameters whose optimum lies beyond the tried range by the fit: the range should grow."""


def pick(points: Sequence[tuple[Levels, float]], sign: int, chance: float) -> Pick:
    """The pick of one arm in one block.

    `points` are the levels that were tried and their scores on the validation part, `sign` is +1
    where a higher score is better, `chance` what guessing scores.
    """
    names = sorted(points[0][0])
    x = np.log10([[levels[name] for name in names] for levels, _ in points])
    gain = sign * (np.array([score for _, score in points]) - chance)
    best = int(gain.argmax())
    kept = gain >= (1 - _LOST) * gain[best]
    if kept.sum() < 3:
        kept = gain >= np.sort(gain)[-min(3, len(gain))]
    terms = 1 + 2 * len(names)
    if kept.sum() < terms or _too_few_levels(x[kept]):
        return Pick(dict(points[best][0]), None, {})
    centre = x.mean(0)
    moved = x - centre
    design = np.hstack([np.ones((len(x), 1)), moved, moved**2])
    solution = np.linalg.lstsq(design[kept], gain[kept], rcond=None)[0]
    slopes, bends = solution[1 : 1 + len(names)], solution[1 + len(names) :]
    levels: Levels = {}
    outside: dict[str, Side] = {}
    fitted = float(solution[0])
    for j, name in enumerate(names):
        low, high = moved[:, j].min(), moved[:, j].max()
        place, side = _optimum(slopes[j], bends[j], low, high)
        fitted += float(slopes[j] * place + bends[j] * place**2)
        levels[name] = float(f"{10 ** (place + centre[j]):.3g}")
        if side is not None:
            outside[name] = side
    return Pick(levels, chance + sign * fitted, outside)


def sides_to_widen(picks: Sequence[Pick]) -> dict[str, set[Side]]:
    """Where the range should grow for all arms: where the fit of any of them says so."""
    wanted: dict[str, set[Side]] = {}
    for one in picks:
        for name, side in one.outside.items():
            wanted.setdefault(name, set()).add(side)
    return wanted


def _optimum(slope: float, bend: float, low: float, high: float) -> tuple[float, Side | None]:
    """The best place in [low, high], and the side on which the curve still rises at the end."""
    if bend < 0:
        vertex = -slope / (2 * bend)
        if low <= vertex <= high:
            return float(vertex), None
        return (float(low), "low") if vertex < low else (float(high), "high")
    at_low, at_high = slope * low + bend * low**2, slope * high + bend * high**2
    if at_low == at_high:
        return 0.0, None  # flat: the middle, as good as any
    return (float(low), "low") if at_low > at_high else (float(high), "high")


def _too_few_levels(x: np.ndarray) -> bool:
    """Whether some parameter has fewer than three levels: no curve goes through two."""
    return any(np.unique(x[:, j]).size < 3 for j in range(x.shape[1]))
