"""Which arms leave the race at a look."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from normlab.stats.data.metrics import orientation
from normlab.stats.data.pairing import PairedTable
from normlab.stats.inference.comparison import Decision
from normlab.stats.inference.looks.state import EXPLORATORY_BELOW

Pair = tuple[str, str]
_MIRRORED: Mapping[Decision, Decision] = {"better": "worse", "worse": "better"}


def dropped_at(table: PairedTable, found: Mapping[Pair, Decision]) -> set[str]:
    """The arms that are worse than the leader, the reference among them.

    Before five blocks the best of them stays where the leader would go on alone: the verdict needs
    five blocks, and those of one arm tell nothing.

    Args:
        table: the blocks of the look, with the arms that are still in the race.
        found: what was decided of the pairs so far.
    """
    arms = table.measured_arms()
    if not arms:
        return set()
    sign = orientation(table.metric)
    by_mean = sorted(arms, key=lambda arm: -sign * float(np.nanmean(table.row(arm))))
    leader = by_mean[0]

    def decision(arm: str) -> Decision:
        if (leader, arm) in found:
            return found[leader, arm]
        other = found[arm, leader]
        return _MIRRORED.get(other, other)

    losers = [arm for arm in by_mean[1:] if decision(arm) == "worse"]
    if len(table.blocks) < EXPLORATORY_BELOW and losers and len(losers) == len(arms) - 1:
        losers = losers[1:]
    return set(losers)
