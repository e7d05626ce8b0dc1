"""What guessing reaches, and which arms do no better: arms that only guess are all equal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from normlab.records.store import RunRecord

STANDARD_ERRORS = 3.0
"""Above chance by so many sampling errors counts as having learned something."""


def chance_bound(classes: int, images: int) -> float:
    """The highest accuracy that guessing reaches on so many test images.

        1/r + 3·√(1/r·(1 − 1/r)/N),   r classes, N test images

    >>> round(chance_bound(10, 900), 3)
    0.13
    """
    chance = 1 / classes
    return chance + STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / images)


def guessing(runs: Sequence[RunRecord]) -> float:
    """The highest accuracy that guessing reaches on the test part of these runs.

    Raises:
        AssertionError: a run without test figures.
    """
    outcome = runs[0].outcome
    assert outcome is not None
    assert outcome.test is not None
    return chance_bound(len(runs[0].spec.data.classes), outcome.test.images)


def mean_accuracy(runs: Sequence[RunRecord]) -> float:
    """Mean test accuracy of runs that have one."""
    values = [run.outcome.test.accuracy for run in runs if run.outcome and run.outcome.test]
    return sum(values) / len(values)


def at_chance(runs: Sequence[RunRecord]) -> bool:
    """Whether the runs of an arm are no better than guessing; runs without figures do not count."""
    tested = [run for run in runs if run.outcome is not None and run.outcome.test is not None]
    return bool(tested) and mean_accuracy(tested) <= guessing(tested)
