"""What the course asks of a curve in words: how smooth or erratic, how fast, how far from training.

    roughness   s = √( 2/3 · mean ẽ² ),  ẽ_t = ½y_{t−1} − y_t + ½y_{t+1}    of the validation curve
    speed       the first epoch at which the validation curve reaches the target
    gap         accuracy on the training part − accuracy on the test part, at the end

Roughness is the standard deviation of the noise from epoch to epoch around a curve that is nearly
straight over three epochs: it has the curve's own unit and does not call a steep curve rough.

Source: Gasser, Sroka & Jennen-Steinmetz 1986, "Residual variance and residual pattern in nonlinear
regression".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from normlab.records.lean.rows import column
from normlab.records.store import RunRecord
from normlab.stats.data.layout import Layout, is_final
from normlab.stats.inference.intervals import Interval, paired_difference

TARGET_SHARE = 0.95
"""The target is this share of the best arm's mean accuracy at the end."""


@dataclass(frozen=True)
class Fact:
    """The mean over blocks, with a t interval from two blocks on."""

    n: int
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class CurveFacts:
    """How the learning curves of one arm in one setting run."""

    arm: str
    roughness: Fact
    """The roughness of the validation accuracy, a share."""
    epochs_to_target: Fact
    """Epochs until the target accuracy, over the blocks that reached it."""
    reached: int
    """The number of blocks that reached it."""
    gap: Fact
    """The gap between the two accuracies, a share; positive: better in training."""


@dataclass(frozen=True)
class SettingCurves:
    """The facts of one setting."""

    target: float | None
    """Accuracy on the validation part that counts as arrived; None without a finished run."""
    arms: tuple[CurveFacts, ...]


def curve_facts(layout: Layout, alpha: float = 0.05) -> SettingCurves:
    """Roughness, speed and gap of every arm, over its finished blocks."""
    finished = {
        arm: [
            record
            for block in layout.blocks
            if (record := layout.record(arm, block)) is not None
            and is_final(record)
            and record.outcome is not None
            and record.outcome.status != "diverged"
        ]
        for arm in layout.arms
    }
    ends = [
        float(np.mean([_accuracies(record)[-1] for record in records if record.rows]))
        for records in finished.values()
        if any(record.rows for record in records)
    ]
    target = TARGET_SHARE * max(ends) if ends else None
    facts = []
    for arm, records in finished.items():
        reached = [
            epoch for record in records if (epoch := first_epoch(record, target)) is not None
        ]
        facts.append(
            CurveFacts(
                arm=arm,
                roughness=_fact(_over(records, _roughness), alpha),
                epochs_to_target=_fact(reached, alpha),
                reached=len(reached),
                gap=_fact(_over(records, _gap), alpha),
            )
        )
    return SettingCurves(target, tuple(facts))


def roughness(curve: Float[np.ndarray, " epochs"]) -> float | None:
    """The noise from epoch to epoch, in the curve's own unit; None below three epochs."""
    if curve.size < 3:
        return None
    pseudo = 0.5 * curve[:-2] - curve[1:-1] + 0.5 * curve[2:]
    return math.sqrt(2 / 3 * float((pseudo**2).mean()))


def first_epoch(record: RunRecord, target: float | None) -> float | None:
    """The first epoch with at least the target on the validation part; None if there is none."""
    if target is None or not record.rows:
        return None
    there = np.flatnonzero(_accuracies(record) >= target)
    return float(column(record.rows, "epoch")[there[0]]) if there.size else None


def _roughness(record: RunRecord) -> float | None:
    return roughness(_accuracies(record))


def _accuracies(record: RunRecord) -> Float[np.ndarray, " epochs"]:
    return column(record.rows, "validation.accuracy")


def _gap(record: RunRecord) -> float | None:
    outcome = record.outcome
    if outcome is None or outcome.train is None or outcome.test is None:
        return None
    return outcome.train.accuracy - outcome.test.accuracy


def _over(
    records: Sequence[RunRecord], measure: Callable[[RunRecord], float | None]
) -> list[float]:
    return [value for record in records if (value := measure(record)) is not None]


def _fact(values: Sequence[float], alpha: float) -> Fact:
    found = paired_difference(np.array(values, dtype=float), alpha)
    return Fact(found.n, found.mean, found.interval)
