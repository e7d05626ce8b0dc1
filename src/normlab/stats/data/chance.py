"""What guessing reaches, and which arms do no better: arms that only guess are all equal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from normlab.records.network import is_own
from normlab.records.store import RunRecord
from normlab.stats.data.metrics import chance_level
from normlab.stats.data.reading import usable_predictions

STANDARD_ERRORS = 3.0
"""Above chance by so many sampling errors counts as having learned something."""


def chance_bound(chance: float, images: int) -> float:
    """The highest accuracy that guessing reaches on so many test images.

        p + 3·√(p·(1 − p)/N),   p of guessing, N test images

    at most a quarter of the way from guessing to all right: six images cannot show that four of
    them were guessed.

    >>> round(chance_bound(1 / 10, 900), 3), chance_bound(0.2, 6)
    (0.13, 0.4)
    """
    errors = STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / images)
    return chance + min(errors, (1 - chance) / 4)


def chance_share(runs: Sequence[RunRecord]) -> float:
    """The accuracy of always naming the largest class of the test part, which all runs share.

    Where no run kept its predictions, 1/r stands for it with r classes.
    """
    for run in runs:
        predictions = usable_predictions(run)
        if predictions is not None:
            return float(np.bincount(predictions.labels).max() / predictions.labels.size)
    return 1 / len(runs[0].spec.data.classes) if runs else 0.0


def guessing_score(metric: str, runs: Sequence[RunRecord]) -> float | None:
    """What a network scores that has learned nothing, in the metric's own units.

    Of accuracy and micro F1 that is the largest class's share of the test part, else that of a
    uniform guess. None where no run tells, or the metric is one of the user's own.
    """
    if not runs or is_own(metric):
        return None
    if metric in ("accuracy", "micro_f1"):
        return chance_share(runs)
    return chance_level(metric, len(runs[0].spec.data.classes))


def mean_accuracy(runs: Sequence[RunRecord]) -> float:
    """Mean test accuracy of runs that have one."""
    values = [run.outcome.test.accuracy for run in runs if run.outcome and run.outcome.test]
    return sum(values) / len(values)


def at_chance(runs: Sequence[RunRecord], chance: float) -> bool:
    """Whether the runs of an arm are no better than guessing; runs without figures do not count.

    `chance` is that of `chance_share`.
    """
    tested = [run for run in runs if run.outcome is not None and run.outcome.test is not None]
    images = [run.outcome.test.images for run in tested if run.outcome and run.outcome.test]
    return bool(tested) and mean_accuracy(tested) <= chance_bound(chance, images[0])
