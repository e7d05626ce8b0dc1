"""Which verified pairs are duplicates, and which only look alike.

A pair is a duplicate where its worst window is at most WORST times as far apart as the noise of a
copy, and enough detail agrees. How far different pictures are apart depends on the data set:
frames of a burst come close to WORST, birds do not. So the limit is lowered to where the share of
false pairs that the data set's own rejected pairs foretell is FALSE at most. In log worst their
density is taken to fall off exponentially towards 0 (a power of worst), from where it is between
2 and 4 times WORST, at the rate of maximum likelihood between twice WORST and the median of the
rejected. The lower limit holds for pairs of crowded images: those that have a rejected pair of up
to 4 times WORST of their own. Bricks of a wall lower it for bricks, not for the portrait beside.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import brentq

WORST, LEAST = 6.0, 1.0
"""The largest `worst` of a duplicate; and what it is never lowered below."""
AGREEMENT = 0.90
DETAIL = 3.0
"""Windows of 8×8 pixels, of 64 in all, that must show some detail."""
FALSE = 0.01
"""The share of false pairs among the duplicates that is foretold at most, or PAIRS in number."""
PAIRS = 0.2
FEW = 20
"""Rejected pairs from which their density can be told."""


def duplicate_pairs(
    worst: Float[np.ndarray, " k"],
    agreement: Float[np.ndarray, " k"],
    detail: Float[np.ndarray, " k"],
    pairs: Int[np.ndarray, "k 2"],
) -> Bool[np.ndarray, " k"]:
    """True for duplicates, false for what only looks alike; `pairs` are numbers of images."""
    clear = (agreement >= AGREEMENT) & (detail >= DETAIL)
    rejected = clear & (worst > WORST) & (worst <= 4 * WORST)
    crowded = np.isin(pairs, pairs[rejected]).any(1)
    largest = np.where(crowded, limit(worst[clear]), WORST)
    found: Bool[np.ndarray, " k"] = clear & (worst <= largest)
    return found


def limit(worst: Float[np.ndarray, " k"]) -> float:
    """The largest `worst` at which the foretold share of false pairs is small enough."""
    rejected = np.log(worst[np.isfinite(worst) & (worst > 2 * WORST)])
    if len(rejected) < FEW:
        return WORST
    low, high = math.log(2 * WORST), float(np.median(rejected))
    rate = _rate(float(rejected[rejected <= high].mean()) - low, high - low)
    nearest = int((rejected <= low + math.log(2)).sum())
    for value in np.arange(WORST, LEAST, -0.1):
        # of a density ∝ worst^(rate − 1) with `nearest` pairs between 2 and 4 times WORST
        foretold = nearest * (value / (2 * WORST)) ** rate / (2**rate - 1)
        if foretold <= max(PAIRS, FALSE * int((worst <= value).sum())):
            return float(value)
    return LEAST


def _rate(mean: float, width: float) -> float:
    """The rate a of a density ∝ e^(a u) on [0, width] with this mean: maximum likelihood.

    At least 1: `worst` grows with the square of a displacement in two directions.
    """
    least, most = 1.0, 50.0 / max(width, 1e-6)

    def excess(rate: float) -> float:
        return width / (1 - math.exp(-rate * width)) - 1 / rate - mean

    if width <= 0 or excess(least) >= 0 or least >= most:
        return least
    return most if excess(most) <= 0 else float(brentq(excess, least, most))
