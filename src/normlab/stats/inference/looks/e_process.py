"""Evidence that may be looked at after any block, for blocks that were added beyond the plan.

For the differences d_1 … d_n of one pair, with t and ν = n − 1 of the paired t test,

    E_n = (1 + n·g)^(−1/2) · [ (1 + t²/ν) / (1 + t²/(ν·(1 + n·g))) ]^(n/2)

is the likelihood ratio of "the mean is N(0, g)·σ" against "the mean is 0", for any unknown σ.
Without a difference it exceeds 1/α at *any* time with probability at most α, however long one adds
blocks.

Sources: Lai 1976, "On confidence sequences"; Wang & Ramdas 2023, "Anytime-valid t-tests and
confidence sequences for Gaussian means with unknown variance"; Gönen et al. 2005 for the closed
form.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from normlab.stats.inference.intervals import Interval, all_same

PRIOR_VARIANCE = 0.5
"""g: differences of .7 standard deviations of a difference are where the evidence grows fastest."""


def t_e_value(differences: Float[np.ndarray, " blocks"], g: float = PRIOR_VARIANCE) -> float:
    """E against "no difference"; 1 below two blocks, and where all differences are the same."""
    n = int(differences.size)
    if n < 2 or all_same(differences):
        return 1.0
    t = float(differences.mean() / differences.std(ddof=1) * math.sqrt(n))
    own = t * t / (n - 1)
    log_e = -0.5 * math.log1p(n * g)
    log_e += n / 2 * (math.log1p(own) - math.log1p(own / (1 + n * g)))
    return math.exp(min(log_e, 700.0))


def confidence_sequence(
    differences: Float[np.ndarray, " blocks"], alpha: float, g: float = PRIOR_VARIANCE
) -> Interval | None:
    """The means that the evidence has not refuted at α; None while they are all of them.

    It holds the true mean after every block at once with probability 1 − α.
    """
    n = int(differences.size)
    if n < 2 or all_same(differences):
        return None
    spread = 1 + n * g
    ratio = math.exp(min((0.5 * math.log(spread) - math.log(alpha)) * 2 / n, 700.0))
    if ratio >= spread:
        return None
    own = (ratio - 1) / (1 - ratio / spread)  # t²/ν at which E is exactly 1/α
    half = float(differences.std(ddof=1)) / math.sqrt(n) * math.sqrt(own * (n - 1))
    mean = float(differences.mean())
    return Interval(mean - half, mean + half, 1 - alpha)
