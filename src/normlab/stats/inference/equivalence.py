"""Whether two arms are practically equal: two one-sided tests at a margin.

Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach
for assessing the equivalence of average bioavailability".
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from normlab.stats.inference.intervals import SAME, Spread, all_same, t_tail


def equivalence_p_value(
    differences: Float[np.ndarray, " blocks"], margin: float, spread: Spread | None = None
) -> float | None:
    """The p-value of "the mean difference lies outside ± margin"; None with fewer than 2 blocks.

        p = max( P(T ≥ (d̄ + δ)/(s/√n)),  P(T ≤ (d̄ − δ)/(s/√n)) ),   T ~ t(df)

    s and df as in `paired_difference`.

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
        if spread is None:
            return 2.0**-n if abs(mean) < margin else 1.0
    if spread is None:
        spread = Spread(float(differences.std(ddof=1)), n - 1)
    error = spread.sd / math.sqrt(n)
    above_lower = t_tail((mean + margin) / error, spread.df)
    below_upper = t_tail((margin - mean) / error, spread.df)
    return max(above_lower, below_upper)
