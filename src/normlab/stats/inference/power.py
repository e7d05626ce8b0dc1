"""How many blocks a comparison needs until it can be decided, from the spread measured so far."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

BLOCKS_CAP = 100
"""An estimate beyond this many further blocks is given as "more than 100"."""

_LARGEST = 2000
"""Blocks up to which the search looks; no study has so many."""


def blocks_to_decide(
    mean: float,
    sd: float,
    margin: float,
    alpha: float,
    alpha_equivalence: float | None = None,
    arms: int = 2,
) -> int | None:
    """The smallest n ≥ 2 at which this difference would be decided one way or the other.

    Decided is either of

        t(1 − α/2; df) · s/√n < |d̄|            the interval leaves out zero
        |d̄| + t(1 − α_e; df) · s/√n < δ         the two one-sided tests succeed

    where df = (arms − 1)(n − 1): `arms` have estimated s together (2: the pair alone). The measured
    mean d̄ and standard deviation s are taken for the true ones, so it is a plan for even odds, not
    a promise: a study of exactly this size decides in about half of the cases. For s = 0 (blocks
    that agree exactly) it is the n whose sign-flip p-value 2^(1−n) is below α. None when more than
    2,000 blocks were needed.
    """
    if alpha_equivalence is None:
        alpha_equivalence = alpha
    if sd == 0:
        return max(2, 2 + math.floor(math.log2(1 / alpha)))
    two_sided = sd * _error_factors(alpha / 2, arms) < abs(mean)
    equivalent = abs(mean) + sd * _error_factors(alpha_equivalence, arms) < margin
    decided = np.flatnonzero(two_sided | equivalent)
    return int(decided[0]) + 2 if decided.size else None


@lru_cache(maxsize=256)
def _error_factors(tail: float, arms: int) -> Float[np.ndarray, " blocks"]:
    """t(1 − tail; (arms − 1)(n − 1))/√n for n = 2, 3, …"""
    n = np.arange(2, _LARGEST + 1)
    df = (arms - 1) * (n - 1)
    factors: Float[np.ndarray, " blocks"] = special.stdtrit(df, 1 - tail) / np.sqrt(n)
    return factors


@lru_cache(maxsize=256)
def detectable_difference(
    arms: int, blocks: int, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The true difference that would be found with this power, in standard deviations of one run.

        P(|T| > t(1 − α/2; df)) = power,   T ~ noncentral t(df, δ/√(2/n)),   df = (arms − 1)(n − 1)

    For one comparison at level α with the error pooled over the arms; None with one arm or block.
    The standard deviation is that of an arm from block to block after the block's own effect has
    been taken out. Source: Cohen 1988, chapter 2; scipy's noncentral t.
    """
    if arms < 2 or blocks < 2:
        return None
    df = (arms - 1) * (blocks - 1)
    critical = float(special.stdtrit(df, 1 - alpha / 2))
    shift = optimize.brentq(lambda d: float(stats.nct.sf(critical, df, d)) - power, 0.0, 1000.0)
    return float(shift) * math.sqrt(2 / blocks)
