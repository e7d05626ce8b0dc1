"""What guessing reaches, and which arms do no better: arms that only guess are all equal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normlab.records.store import RunRecord
from normlab.stats.data.reading import usable_predictions

STANDARD_ERRORS = 3.0
"""Above chance by so many sampling errors counts as having learned something."""


def chance_bound(chance: float, images: int) -> float:
    """The highest accuracy that guessing reaches on so many test images.

        p + 3·√(p·(1 − p)/N),   p of guessing, N test images

    >>> round(chance_bound(1 / 10, 900), 3)
    0.13
    """
    return chance + STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / images)


def guessing(runs: Sequence[RunRecord]) -> float:
    """The highest accuracy that guessing reaches on the test part of these runs.

    A network that always names the largest class is right in its share of the images. Where no run
    kept its predictions, 1/r stands for it with r classes.

    Raises:
        AssertionError: a run without test figures.
    """
    outcome = runs[0].outcome
    assert outcome is not None
    assert outcome.test is not None
    return chance_bound(_largest_share(runs), outcome.test.images)


def _largest_share(runs: Sequence[RunRecord]) -> float:
    for run in runs:
        predictions = usable_predictions(run)
        if predictions is not None:
            return float(np.bincount(predictions.labels).max() / predictions.labels.size)
    return 1 / len(runs[0].spec.data.classes)


def mean_accuracy(runs: Sequence[RunRecord]) -> float:
    """Mean test accuracy of runs that have one."""
    values = [run.outcome.test.accuracy for run in runs if run.outcome and run.outcome.test]
    return sum(values) / len(values)


def at_chance(runs: Sequence[RunRecord]) -> bool:
    """Whether the runs of an arm are no better than guessing; runs without figures do not count."""
    tested = [run for run in runs if run.outcome is not None and run.outcome.test is not None]
    return bool(tested) and mean_accuracy(tested) <= guessing(tested)
