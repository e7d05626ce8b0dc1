"""Training speed: of a run, and of an arm against another in the same blocks.

Like accuracies, times are compared within a block: its runs were made on one machine, one after the
other, so that what slows a machine down slows all of its arms.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from normlab.records.lean.rows import column
from normlab.records.store import RunRecord
from normlab.stats.data.layout import Layout


def speeds(layout: Layout, arm: str) -> dict[int, float]:
    """Training images a second of the arm's run in each block where it has one."""
    found = {}
    for block in layout.blocks:
        record = layout.record(arm, block)
        if record is not None and (speed := run_speed(record)):
            found[block] = speed
    return found


def run_speed(record: RunRecord) -> float | None:
    """Median training images a second over the epochs of a run.

    The first epoch is left out where there are more: it pays for warming up.
    """
    speeds = column(record.rows, "images_per_second").tolist()
    median = statistics.median(speeds[1:] or speeds) if speeds else 0.0
    return median if median > 0 else None


def relative_times(own: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    """The time of a step of `own` over that of `other`, in each block that both have."""
    return {block: other[block] / own[block] for block in own if block in other}


def relative_time(own: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    """The median of `relative_times`; 1.04 is 4 % slower than the other.

    >>> relative_time({0: 100, 1: 50, 2: 100}, {0: 200, 1: 100, 2: 100})
    2.0
    """
    found = relative_times(own, other)
    return statistics.median(found.values()) if found else None
