"""Whether two arms are practically equal: two one-sided tests at a margin.

Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach
for assessing the equivalence of average bioavailability".
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from normlab.stats.intervals import SAME, all_same


def equivalence_p_value(differences: Float[np.ndarray, " blocks"], margin: float) -> float | None:
    """The p-value of "the mean difference lies outside ± margin"; None with fewer than 2 blocks.

        p = max( P(T ≥ (d̄ + δ)/(s/√n)),  P(T ≤ (d̄ − δ)/(s/√n)) ),   T ~ t(n − 1)

    p < α is the same as the (1 − 2α) interval of the difference lying inside ± δ. Where all
    differences are the same number (s = 0, see `paired_difference`): all zero gives p = 0 (the arms
    gave the same numbers); another number inside the margin gives 2^−n (the sign test against the
    margin), one on or outside it gives 1.

    Raises:
        ValueError: the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, but it is {margin}; give e.g. 0.01")
    n = int(differences.size)
    if n < 2:
        return None
    mean = float(differences.mean())
    if all_same(differences):
        if abs(mean) <= SAME:
            return 0.0
        return 2.0**-n if abs(mean) < margin else 1.0
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    above_lower = float(stats.t.sf((mean + margin) / error, n - 1))
    below_upper = float(stats.t.cdf((mean - margin) / error, n - 1))
    return max(above_lower, below_upper)
