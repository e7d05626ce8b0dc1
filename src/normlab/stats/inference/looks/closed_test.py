"""All pairs of K arms by a closed test: which pairs may be equal at once decides how strict it is.

Sorting arms into groups that are equal gives every set I of pairs that can be true together (of
five arms: all ten pairs, the six among four arms, …). A set is refuted when one of its pairs has

    p_j ≤ α/|I|         p_j the p-value for all looks together

at any look, and a pair is different once every set that holds it is refuted. Wrong anywhere with
probability at most α, and never less powerful than Holm's or Shaffer's corrections: once one arm
differs from two others, "it equals the third" leaves at most four equal pairs of five arms, not
seven.

Source: Bergmann & Hommel 1988, "Improvements of general multiple test procedures for redundant
systems of hypotheses".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int

MAX_ARMS = 8
"""Beyond, sets are too many (nine arms have 21,146) and Holm's correction is used."""


class ClosedTest:
    """The sets that have been refuted so far, look after look."""

    def __init__(self, arms: int) -> None:
        """For so many arms; pairs in the order of `itertools.combinations`."""
        self.arms = arms
        self._smallest: Float[np.ndarray, " pairs"] = np.ones(math.comb(arms, 2))

    def learn(self, p_values: Float[np.ndarray, " pairs"]) -> None:
        """Take in the p-values of a look; 1 for pairs that were not tested."""
        self._smallest = np.minimum(self._smallest, p_values)

    def divisors(self, alpha: float) -> Int[np.ndarray, " pairs"]:
        """m of every pair: it is different where its own p ≤ α/m."""
        if self.arms > MAX_ARMS:
            return self._holm(alpha)
        sets, sizes = equal_sets(self.arms)
        refuting = sets & (self._smallest[None] <= alpha / sizes[:, None])
        others = refuting.sum(1)[:, None] - refuting
        standing = sets & (others == 0)
        largest = (standing * sizes[:, None]).max(0)
        return np.asarray(np.maximum(largest, 1))

    def different(self, alpha: float) -> Bool[np.ndarray, " pairs"]:
        """The pairs that have been shown to differ."""
        return np.asarray(self._smallest <= alpha / self.divisors(alpha))

    def _holm(self, alpha: float) -> Int[np.ndarray, " pairs"]:
        """m of Holm's step-down correction."""
        count = self._smallest.size
        order = np.argsort(self._smallest, kind="stable")
        steps: Int[np.ndarray, " pairs"] = count - np.arange(count)
        passed = np.cumprod(self._smallest[order] <= alpha / steps).astype(bool)
        stopped = int(steps[~passed].max(initial=1))
        divisors: Int[np.ndarray, " pairs"] = np.empty(count, dtype=np.int64)
        divisors[order] = np.where(passed, steps, stopped)
        return divisors


@lru_cache(maxsize=8)
def equal_sets(
    arms: int,
) -> tuple[Bool[np.ndarray, "sets pairs"], Int[np.ndarray, " sets"]]:
    """Every set of pairs that may be equal at once, and how many pairs each has.

    >>> sorted(equal_sets(3)[1].tolist())
    [1, 1, 1, 3]
    """
    pairs = np.array(list(itertools.combinations(range(arms), 2)), dtype=int).reshape(-1, 2)
    groups = np.array(list(_groupings(arms)))
    sets = groups[:, pairs[:, 0]] == groups[:, pairs[:, 1]]
    sets = sets[sets.any(1)]
    return sets, np.asarray(sets.sum(1))


def _groupings(arms: int) -> Iterator[tuple[int, ...]]:
    """Every way to sort arms into groups, as the number of each arm's group."""
    if arms == 0:
        yield ()
        return
    for rest in _groupings(arms - 1):
        for group in range(max(rest, default=-1) + 2):
            yield (*rest, group)
