"""Early stopping as a function of the rows: there is no state that a continuation could lose."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.run import EpochRow


def best_epoch(rows: Sequence[EpochRow]) -> int:
    """The first epoch with the highest validation accuracy.

    >>> best_epoch([])
    0
    """
    best = max(rows, key=lambda row: (row.validation.accuracy, -row.epoch), default=None)
    return 0 if best is None else best.epoch


def patience_is_over(rows: Sequence[EpochRow], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no better validation accuracy."""
    if patience is None or not rows:
        return False
    return rows[-1].epoch - best_epoch(rows) >= patience
