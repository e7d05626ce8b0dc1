"""The exact sign-flip test: how often would chance signs give as large a mean difference?"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from normlab.stats.inference.intervals import SAME

FEWEST = 6
"""Below, the smallest two-sided p, 2^(1−n), is above .05 after any correction: nothing to see."""
_EXACT_UP_TO = 16
_DRAWS = 65536


def sign_flip_p_value(differences: Float[np.ndarray, " blocks"]) -> float | None:
    """The two-sided p of a mean this far from zero if every block's sign were a coin's.

        p = #{ signs : |Σ ± d_b| ≥ |Σ d_b| } / 2^n

    Exact to 16 blocks, beyond that over 65,536 fixed draws (the observed signs counted among
    them). Needs no normal distribution, only that differences are symmetric about zero where there
    is no effect. None below six blocks. Source: Fisher 1935, "The design of experiments", § 21.
    """
    n = int(differences.size)
    if n < FEWEST:
        return None
    observed = abs(float(differences.sum()))
    sums: Float[np.ndarray, " patterns"] = np.abs(_signs(n) @ differences)
    extreme = int(np.count_nonzero(sums >= observed - SAME))
    patterns = int(sums.size)
    if n <= _EXACT_UP_TO:
        return extreme / patterns
    return (extreme + 1) / (patterns + 1)


@lru_cache(maxsize=32)
def _signs(n: int) -> Float[np.ndarray, "patterns blocks"]:
    """Every pattern of n signs, or fixed random ones where those are too many."""
    if n <= _EXACT_UP_TO:
        bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        bits = np.random.default_rng(n).integers(0, 2, (_DRAWS, n))
    return 2.0 * bits - 1.0
