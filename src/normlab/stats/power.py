"""How many blocks a comparison needs until it can be decided, from the spread measured so far."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import stats

BLOCKS_CAP = 100
"""An estimate beyond this many further blocks is given as "more than 100"."""

_LARGEST = 2000
"""Blocks up to which the search looks; no study has so many."""


def blocks_to_decide(
    mean: float, sd: float, margin: float, alpha: float, alpha_equivalence: float | None = None
) -> int | None:
    """The smallest n ≥ 2 at which this difference would be decided one way or the other.

    Decided is either of

        t(1 − α/2; n − 1) · s/√n < |d̄|            the interval leaves out zero
        |d̄| + t(1 − α_e; n − 1) · s/√n < δ         the two one-sided tests succeed

    with the measured mean d̄ and standard deviation s taken for the true ones. So it is a plan for
    even odds, not a promise: a study of exactly this size decides in about half of the cases. For
    s = 0 (blocks that agree exactly) it is the n whose sign-flip p-value 2^(1−n) is below α. None
    when more than 2,000 blocks were needed.
    """
    if alpha_equivalence is None:
        alpha_equivalence = alpha
    if sd == 0:
        return max(2, 2 + math.floor(math.log2(1 / alpha)))
    two_sided = sd * _error_factors(alpha / 2) < abs(mean)
    equivalent = abs(mean) + sd * _error_factors(alpha_equivalence) < margin
    decided = np.flatnonzero(two_sided | equivalent)
    return int(decided[0]) + 2 if decided.size else None


@lru_cache(maxsize=256)
def _error_factors(tail: float) -> Float[np.ndarray, " blocks"]:
    """t(1 − tail; n − 1)/√n for n = 2, 3, …"""
    n = np.arange(2, _LARGEST + 1)
    factors: Float[np.ndarray, " blocks"] = stats.t.ppf(1 - tail, n - 1) / np.sqrt(n)
    return factors
