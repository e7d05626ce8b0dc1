"""How many more blocks until a pair is decided: a range from the predictive distribution.

From the differences so far (mean d̄, moderated variance s̃² with df), with nothing assumed beside:

    σ² = s̃²·df/χ²(df),   μ ~ N(d̄, σ²/n),   the next blocks ~ N(μ, σ²)

Every drawn future is judged at the looks that are left, at the level at which the pair is judged
now. Its first deciding look gives the blocks that it takes; four futures in five are inside the
range "3 to 12 more blocks". Futures that stay open at the cap count as longer.

No single number is given. Over all differences that might be, such a median is right; but where the
true one is a third of a standard deviation, those studies whose luck lets them hope for a decision
inside the plan are decided by it in one of six. The range holds there too (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

_FUTURES = 1000
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Forecast:
    """More blocks until a decision; None stands for more than the plan has."""

    low: int | None
    """One future in ten is decided by then."""
    high: int | None
    """One future in ten is not decided by then."""


@dataclass(frozen=True)
class Rules:
    """What decides a pair at one look."""

    blocks: int
    difference: float
    """The level of the test of no difference; likewise of the test of equivalence."""
    equivalence: float


def forecast(
    mean: float,
    variance: float,
    df: float,
    blocks: int,
    looks: Sequence[Rules],
    margin: float | None,
    floor: float = 0.0,
    seed: int = 0,
) -> Forecast:
    """The range for a pair that is open after so many blocks.

    `looks` are those to come; `floor` is the least variance of the test of equivalence.
    """
    left = [look for look in looks if look.blocks > blocks]
    if not left or not variance > 0:
        return Forecast(None, None)
    random = np.random.default_rng([seed, blocks])
    sigma2 = variance * df / random.chisquare(df, _FUTURES)
    mu = mean + np.sqrt(sigma2 / blocks) * random.standard_normal(_FUTURES)
    cap = left[-1].blocks
    noise = random.standard_normal((_FUTURES, cap - blocks))
    new = mu[:, None] + np.sqrt(sigma2)[:, None] * noise
    total, squares = new.cumsum(1), (new**2).cumsum(1)
    decided = np.full(_FUTURES, np.inf)
    for look in left:
        n, more = look.blocks, look.blocks - blocks
        now = (blocks * mean + total[:, more - 1]) / n
        # the pair's own squares grow; what other arms lend stays as it is
        own = squares[:, more - 1] - n * now**2 + blocks * mean**2
        s2 = (df * variance + np.maximum(own, 0.0)) / (df + more)
        open_ones = np.isinf(decided)
        found = _decides(now, s2, df + more, look, margin, floor)
        decided[open_ones & found] = more
    return _summary(decided)


def _decides(
    mean: Float[np.ndarray, " futures"],
    variance: Float[np.ndarray, " futures"],
    df: float,
    look: Rules,
    margin: float | None,
    floor: float,
) -> np.ndarray:
    error = np.sqrt(variance / look.blocks)
    found = np.abs(mean) > special.stdtrit(df, 1 - look.difference / 2) * error
    if margin is not None:
        error = np.sqrt(np.maximum(variance, floor) / look.blocks)
        found |= np.abs(mean) + special.stdtrit(df, 1 - look.equivalence) * error < margin
    return np.asarray(found)


def _summary(decided: Float[np.ndarray, " futures"]) -> Forecast:
    low, high = np.quantile(decided, [LOW, HIGH], method="inverted_cdf")
    return Forecast(*(int(blocks) if np.isfinite(blocks) else None for blocks in (low, high)))
