"""Runs that fail: how often they may, and when that forbids to call an arm better.

An arm that failed in none of n runs may still fail with any rate p that leaves n runs without a
failure likely enough: Clopper and Pearson's upper bound, for 0 of 5 runs 45 %, for 0 of 59 5 %.

The rule: "better" becomes "better in finished runs" while a failure rate inside the bound would
turn the mean difference around,

    (1 − p)·(mean of the runs that did not fail) + p·(chance level) ≤ (mean of the other arm)

It is the same decision about runs that finish, without the promise that the next one does. No
number of runs without a failure is an exception: an arm that fails in 5 % of its runs and is a
point better in the others was called better in 38 % of simulated studies when 14 were enough.

Source: Clopper & Pearson 1934.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special

from normlab.stats.data.pairing import PairedTable
from normlab.stats.inference.comparison import Decision

_CONDITIONAL: Mapping[Decision, Decision] = {
    "better": "better in finished runs",
    "worse": "worse in finished runs",
}


@dataclass(frozen=True)
class FailureBound:
    """The failures of one arm and the largest rate that they allow."""

    failed: int
    runs: int
    upper: float


def failure_bound(failed: int, runs: int, alpha: float = 0.05) -> FailureBound:
    """The one-sided upper bound at 1 − α; 1 without runs.

    >>> round(failure_bound(0, 5).upper, 2), failure_bound(3, 3).upper
    (0.45, 1.0)
    """
    if failed >= runs:
        return FailureBound(failed, runs, 1.0)
    upper = float(special.betaincinv(failed + 1, runs - failed, 1 - alpha))
    return FailureBound(failed, runs, upper)


def withheld(
    bound: FailureBound,
    ok: Float[np.ndarray, " runs"],
    other: float,
    chance: float,
    sign: int,
) -> bool:
    """Whether the rule forbids "better".

    `ok` are the values of the arm in the runs that did not fail, `other` the mean of the arm that
    it would be better than, `sign` is +1 where a higher value is better.
    """
    if ok.size == 0:
        return True
    expected = (1 - bound.upper) * float(ok.mean()) + bound.upper * chance
    return sign * (expected - other) <= 0


def with_failures(
    decision: Decision,
    table: PairedTable,
    pair: tuple[str, str],
    failures: Mapping[str, FailureBound],
    chance: float,
    sign: int,
) -> Decision:
    """The decision; of finished runs only where possible failures would turn it around.

    Args:
        decision: about the pair's second arm, against the first.
        table: all blocks.
        pair: the two arms.
        failures: what is known of each arm's.
        chance: what a run is worth that fails.
        sign: +1 where a higher value is better.
    """
    if decision not in _CONDITIONAL:
        return decision
    winner, loser = (pair[1], pair[0]) if decision == "better" else pair
    row = table.row(winner)
    failed = np.array(
        [status == "diverged" for status in table.status[table.arms.index(winner)]], dtype=bool
    )
    ok = row[~np.isnan(row) & ~failed]
    other = float(np.nanmean(table.row(loser)))
    return (
        _CONDITIONAL[decision] if withheld(failures[winner], ok, other, chance, sign) else decision
    )
