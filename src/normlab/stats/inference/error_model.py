"""The error of every pair of arms, borrowing from all pairs as far as their variances agree.

    s²[ab]   the variance of the differences of arms a and b over n blocks, ν = n − 1
    s²       the mean of s²[ab] over all pairs of K arms
    ε        Box's epsilon of the covariance of the arms, between 1/(K − 1) and 1
    ν₀ = min(3·(ε·(K − 1)·ν − ν), (K − 2)·ν)     what the other arms know of a pair

    s̃²[ab] = max(s²[ab], (ν₀·s² + ν·s²[ab])/(ν₀ + ν)),   df = ν₀ + ν

ε·(K − 1)·ν are Satterthwaite's degrees of freedom of s² whatever the covariance of the arms is.
Arms that vary alike and independently have an ε near 1, and a pair learns from all of them; where
one arm strays or arms share their errors, ε falls, ν₀ goes to 0, and each pair is left with its own
paired t. The factor 3 makes up for ε being estimated too low from few blocks; that a pair never has
less than its own variance keeps arms that vary more honest. Both were chosen by simulation, as was
this form over others (Smyth's moderated t gave 6 to 9 % false decisions where one arm varies
fourfold). Nothing is switched: pooling after a look at the variances was wrong in 6 to 11 % of
simulated studies, this in at most 5 % (docs/method.md).

Sources: Box 1954, "Some theorems on quadratic forms"; Satterthwaite 1946; Smyth 2004 for the form
of a moderated t.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from normlab.stats.inference.intervals import SAME

Arm = TypeVar("Arm")
_FACTOR = 3.0


@dataclass(frozen=True, eq=False)
class PairErrors:
    """Of pairs in the order of `itertools.combinations`: later arm minus earlier."""

    means: Float[np.ndarray, " pairs"]
    variances: Float[np.ndarray, " pairs"]
    """Of the difference in one block; 0 where nothing varies, nan below two common blocks."""
    df: Float[np.ndarray, " pairs"]
    blocks: Float[np.ndarray, " pairs"]
    """That both arms have."""


@dataclass(frozen=True)
class Lender:
    """What a complete table of arms and blocks knows of the error of any of its pairs."""

    variance: float
    """Of a difference in one block, the mean over all pairs."""
    prior_df: float
    """ν₀."""
    size: int
    """(K − 1)·(n − 1), by which two tables are compared."""


def lender_of(values: Float[np.ndarray, "arms blocks"]) -> Lender | None:
    """The lender of the arms that have every block; None below three such arms or two blocks."""
    complete = values[~np.isnan(values).any(axis=1)]
    arms, blocks = complete.shape
    if arms < 3 or blocks < 2:
        return None
    residuals = two_way_residuals(complete)
    covariance = residuals @ residuals.T / (blocks - 1)
    trace, square = float(np.trace(covariance)), float((covariance**2).sum())
    size = (arms - 1) * (blocks - 1)
    if square <= SAME**4:
        return Lender(0.0, 0.0, size)
    epsilon = min(max(trace**2 / square / (arms - 1), 1 / (arms - 1)), 1.0)
    own = blocks - 1
    prior = min(_FACTOR * max(epsilon * size - own, 0.0), float((arms - 2) * own))
    return Lender(2 * trace / (arms - 1), prior, size)


def pair_errors(
    values: Float[np.ndarray, "arms blocks"], lender: Lender | None = None
) -> PairErrors:
    """The moderated variance of every pair; nan marks cells without a value.

    Arms with a value in every block borrow, from this table or from a larger `lender` (an earlier
    look, before arms were dropped); a pair with a gap keeps to itself.
    """
    arms = values.shape[0]
    pairs = np.array(pairs_of(range(arms)), dtype=int).reshape(-1, 2)
    differences = values[pairs[:, 1]] - values[pairs[:, 0]]
    present = ~np.isnan(differences)
    blocks = present.sum(1).astype(float)
    filled = np.where(present, differences, 0.0)
    means = np.where(blocks > 0, filled.sum(1) / np.maximum(blocks, 1), np.nan)
    squares = np.where(present, (differences - means[:, None]) ** 2, 0.0).sum(1)
    df = np.maximum(blocks - 1, 0)
    variances = np.where(blocks > 1, squares / np.maximum(df, 1), np.nan)
    own = lender_of(values)
    if lender is None or (own is not None and own.size >= lender.size):
        lender = own
    if lender is not None and lender.prior_df > 0:
        whole = np.isin(pairs, np.flatnonzero(~np.isnan(values).any(axis=1))).all(1) & (df > 0)
        prior = lender.prior_df
        known = (prior * lender.variance + df * variances) / (prior + df)
        variances = np.where(whole, np.maximum(known, variances), variances)
        df = np.where(whole, df + prior, df)
    return PairErrors(means, variances, df, blocks)


def two_way_residuals(values: Float[np.ndarray, "arms blocks"]) -> Float[np.ndarray, "arms blocks"]:
    """e = y − (mean of the arm) − (mean of the block) + (mean of all)."""
    residuals: Float[np.ndarray, "arms blocks"] = (
        values - values.mean(1, keepdims=True) - values.mean(0, keepdims=True) + values.mean()
    )
    return residuals


def pairs_of(arms: Sequence[Arm]) -> list[tuple[Arm, Arm]]:
    """Earlier and later arm of every pair, in the order of `pair_errors`."""
    return list(itertools.combinations(arms, 2))
