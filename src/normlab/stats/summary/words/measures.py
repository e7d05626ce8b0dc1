"""Values of every arm over the blocks: level, smoothness, speed, gap and rise of the curves.

    level       the metric at the reported epoch; a diverged run scores chance
    smoothness  s = √(2/3 · mean ẽ²),  ẽ_t = ½y_{t−1} − y_t + ½y_{t+1}   (see curve_facts)
    speed       first epoch at the target; epochs + 1 where a block never gets there
    gap         training − other part, in evaluation mode, so that more is more overfitting
    rise        last epoch − the epoch at three quarters

All curves are of the validation part. The target of a share is 95 % of the best arm's mean at the
end, that of the loss 95 % of the way from guessing to the best arm's mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from normlab.records.lean.rows import column
from normlab.records.store import RunRecord
from normlab.stats.data.layout import Layout, is_final
from normlab.stats.data.metrics import chance_level, is_share, orientation
from normlab.stats.data.pairing import Part, paired_table
from normlab.stats.summary.curve_facts import TARGET_SHARE, roughness
from normlab.stats.summary.words.evidence import Values

METRICS_IN_WORDS = ("accuracy", "loss", "macro_f1")
"""Micro F1 is accuracy where every image has one label."""
LAST_PART = 0.75
"""The rise is that of the epochs after this share of them."""


def level(layout: Layout, metric: str, part: Part = "test") -> Values:
    """The metric at the reported epoch."""
    table = paired_table(layout, metric, part)
    return {arm: table.row(arm) for arm in layout.arms}


def smoothness(layout: Layout, metric: str) -> Values:
    """The noise of the validation curve from epoch to epoch, in the metric's unit."""
    return _over_runs(layout, lambda record: _or_nan(roughness(_curve(record, metric))))


def speed(layout: Layout, metric: str) -> tuple[float | None, Values]:
    """The target and the first epoch that reaches it."""
    target = _target(layout, metric)
    if target is None:
        return None, _over_runs(layout, lambda _: math.nan)
    never = last_epoch(layout) + 1
    return target, _over_runs(
        layout, lambda record: first_at(_curve(record, metric), metric, target, never)
    )


def last_epoch(layout: Layout) -> int:
    """That of the run that went furthest."""
    return max((len(run.rows) for runs in layout.records.values() for run in runs), default=0)


def first_at(curve: Float[np.ndarray, " epochs"], metric: str, target: float, never: int) -> float:
    """The first epoch with at least the target (at most, for the loss), or `never`."""
    sign = orientation(metric)
    there = np.flatnonzero(sign * curve >= sign * target)
    return float(there[0] + 1 if there.size else never)


def gap(layout: Layout, metric: str, part: Part = "test") -> Values:
    """How much better the training part is; positive is better in training."""
    sign = orientation(metric)
    train, other = (
        level_of_finished(layout, metric, "train"),
        level_of_finished(layout, metric, part),
    )
    return {arm: sign * (train[arm] - other[arm]) for arm in layout.arms}


def level_of_finished(layout: Layout, metric: str, part: Part) -> Values:
    """The level of runs that have one of their own: those that diverged are left out."""

    def measure(record: RunRecord) -> float:
        found = getattr(record.outcome, part)
        return math.nan if found is None else float(getattr(found, metric))

    return _over_runs(layout, measure)


def rise(layout: Layout) -> tuple[Values, Values]:
    """The validation accuracy at the last epoch and at three quarters, of four epochs or more."""

    def at_the_end(record: RunRecord) -> float:
        curve = _curve(record, "accuracy")
        return float(curve[-1]) if curve.size >= 4 else math.nan

    def before(record: RunRecord) -> float:
        curve = _curve(record, "accuracy")
        early = math.ceil(LAST_PART * curve.size) - 1
        return float(curve[early]) if curve.size >= 4 else math.nan

    return _over_runs(layout, at_the_end), _over_runs(layout, before)


def batch_statistics(layout: Layout) -> tuple[Values, Values]:
    """Validation accuracy by the statistics of the batches, and by running ones.

    Of the arms whose layers keep running statistics; nan for the others.
    """

    def by_batches(record: RunRecord) -> float:
        found = record.outcome.validation_by_batches if record.outcome is not None else None
        return math.nan if found is None else found.accuracy

    return _over_runs(layout, by_batches), level_of_finished(layout, "accuracy", "validation")


def _target(layout: Layout, metric: str) -> float | None:
    sign = orientation(metric)
    ends = _over_runs(layout, lambda record: _end(record, metric))
    means = [sign * float(np.nanmean(row)) for row in ends.values() if not np.isnan(row).all()]
    if not means:
        return None
    best = sign * max(means)
    if is_share(metric):
        return TARGET_SHARE * best
    record = next(r for arm in layout.arms for b in layout.blocks if (r := _ended(layout, arm, b)))
    chance = chance_level(metric, len(record.spec.data.classes))
    return chance + TARGET_SHARE * (best - chance)


def _end(record: RunRecord, metric: str) -> float:
    curve = _curve(record, metric)
    return float(curve[-1]) if curve.size else math.nan


def _curve(record: RunRecord, metric: str) -> Float[np.ndarray, " epochs"]:
    return column(record.rows, f"validation.{metric}")


def _ended(layout: Layout, arm: str, block: int) -> RunRecord | None:
    """The run of a cell, if it ended without diverging."""
    record = layout.record(arm, block)
    if record is None or not is_final(record) or record.outcome is None:
        return None
    return record if record.outcome.status != "diverged" else None


def _over_runs(layout: Layout, measure: Callable[[RunRecord], float]) -> Values:
    return {
        arm: np.array(
            [
                measure(record) if (record := _ended(layout, arm, block)) else math.nan
                for block in layout.blocks
            ],
            dtype=float,
        )
        for arm in layout.arms
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
