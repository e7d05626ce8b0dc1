"""Means, paired t intervals and the share of blocks won.

Symbols: d_b the difference of two arms in block b, n blocks, d̄ their mean, s their standard
deviation (n − 1 in the denominator).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import special

SAME = 1e-12
"""Values closer than this (relative to their size, if above 1) are the same number: what remains
of a difference of shares is the rounding of float64."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval at the given level, e.g. 0.95."""

    low: float
    high: float
    level: float

    def reversed(self) -> Interval:
        """That of the same comparison seen from the other arm."""
        return Interval(-self.high, -self.low, self.level)


@dataclass(frozen=True)
class Spread:
    """The standard deviation of a difference between two arms in one block, estimated from more
    than these two arms, and its degrees of freedom.
    """

    sd: float
    df: float


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation of n values; None where n is too small to have one."""

    n: int
    mean: float | None
    sd: float | None


@dataclass(frozen=True)
class PairedDifference:
    """Mean difference over n blocks; what n is too small for is None."""

    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    p_value: float | None
    """Two-sided, of no difference; not corrected for the number of comparisons."""
    df: float | None = None
    """Degrees of freedom behind the interval and p."""

    def reversed(self) -> PairedDifference:
        """The same comparison seen from the other arm."""
        mean = None if self.mean is None else -self.mean
        return replace(self, mean=mean, interval=self.interval and self.interval.reversed())


@dataclass(frozen=True)
class ShareBetter:
    """In which share of n blocks an arm was better; a tie counts half."""

    n: int
    share: float
    interval: Interval
    ties: int = 0

    @property
    def won(self) -> int:
        """Blocks in which the arm was better."""
        return round(self.share * self.n - self.ties / 2)

    def reversed(self) -> ShareBetter:
        """The same comparison seen from the other arm."""
        low, high = 1 - self.interval.high, 1 - self.interval.low
        interval = Interval(low, high, self.interval.level)
        return ShareBetter(self.n, 1 - self.share, interval, self.ties)


def summarise(values: Float[np.ndarray, " blocks"]) -> Summary:
    """Mean ± standard deviation of the values that are there (nan = not there)."""
    present = values[~np.isnan(values)]
    n = present.size
    mean = float(present.mean()) if n >= 1 else None
    sd = float(present.std(ddof=1)) if n >= 2 else None
    return Summary(n, mean, sd)


def all_same(values: Float[np.ndarray, " blocks"]) -> bool:
    """Whether the values differ by nothing but rounding."""
    return bool(np.ptp(values) <= SAME * max(1.0, float(np.abs(values).max())))


def paired_difference(
    differences: Float[np.ndarray, " blocks"], alpha: float = 0.05, spread: Spread | None = None
) -> PairedDifference:
    """The paired t interval  d̄ ± t(1 − α/2; df) · s/√n  and its two-sided p-value.

    s is the standard deviation of the differences with df = n − 1, or that of `spread`, which more
    arms have estimated together.

    n = 0 has no mean, n = 1 no interval. Where all differences are the same number, s = 0 and t
    does not exist; the rule is then:

    - all zero: the two arms gave the same numbers, the interval is [0, 0] and p = 1;
    - all the same, not zero, and no `spread`: blocks that agree to the last digit cannot tell how
      far others would stray (often a few images more, by coincidence), so there is no interval, and
      p = 2^(1−n), the exact two-sided sign-flip test, which needs no standard deviation.

    Source: Student 1908; for the choice over the bootstrap, method.md, "Intervals and tests".
    """
    n = int(differences.size)
    summary = summarise(differences)
    mean, sd = summary.mean, summary.sd
    if mean is None or sd is None:
        return PairedDifference(n, mean, None, None, None)
    df: float = n - 1
    if all_same(differences):
        if abs(mean) <= SAME:
            return PairedDifference(n, 0.0, 0.0, Interval(0.0, 0.0, 1 - alpha), 1.0, df)
        if spread is None:
            return PairedDifference(n, mean, 0.0, None, 2.0 ** (1 - n), df)
    if spread is not None:
        sd, df = spread.sd, spread.df
    error = sd / math.sqrt(n)
    half_width = t_quantile(1 - alpha / 2, df) * error
    p_value = 2 * t_tail(abs(mean) / error, df)
    interval = Interval(mean - half_width, mean + half_width, 1 - alpha)
    return PairedDifference(n, mean, sd, interval, p_value, df)


def t_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t (scipy's own function, without the overhead of its classes)."""
    return float(special.stdtrit(df, probability))


def t_tail(t: float, df: float) -> float:
    """P(T > t) of Student's t."""
    return float(special.stdtr(df, -t))


def share_better(
    advantages: Float[np.ndarray, " blocks"], alpha: float = 0.05
) -> ShareBetter | None:
    """P(A > B): the share of blocks with a positive advantage, with Wilson's score interval.

    A tie counts half. Wilson and not Clopper–Pearson, because it holds its level on average over
    the shares, where the exact interval is much too wide for the few blocks of a study; with ties
    the count is not an integer, which the score interval takes in its stride. None without blocks.

    Source: Bouthillier et al. 2021, section 4 (meaningful from .75); Wilson 1927.
    """
    n = int(advantages.size)
    if n == 0:
        return None
    ties = np.abs(advantages) <= SAME
    wins = float(np.count_nonzero((advantages > 0) & ~ties) + 0.5 * np.count_nonzero(ties))
    z2 = float(special.ndtri(1 - alpha / 2)) ** 2
    centre = (wins + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (wins * (n - wins) / n + z2 / 4)) / (n + z2)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return ShareBetter(n, wins / n, Interval(low, high, 1 - alpha), int(np.count_nonzero(ties)))
