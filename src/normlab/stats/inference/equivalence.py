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


def bounded_equivalence_p_value(
    mean: float, variance: float, df: float, blocks: float, margin: float, resolution: float | None
) -> float:
    """As `equivalence_p_value`, but never surer than what was counted allows.

    Accuracies move in steps of one test image (`resolution`, u): an arm that loses δ/u images a
    block on average varies by at least δ·u, whatever few blocks show, so that

        s² ≥ δ·u,        and  p ≥ 2^−n  where all differences are the same.

    Five blocks without any difference are then no proof that the next one has none.

    Raises:
        ValueError: the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"the margin must be positive, but it is {margin}; give e.g. 0.01")
    if not blocks >= 2:
        return 1.0
    least = 0.0 if variance > SAME**2 else 2.0**-blocks
    floor = margin * resolution if resolution is not None else 0.0
    error = math.sqrt(max(variance, floor) / blocks)
    if error <= SAME:
        return least if abs(mean) < margin else 1.0
    tail = t_tail((margin - abs(mean)) / error, df)
    return max(tail, least)
