"""NL009: micro F1 that differs from accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from normlab.records.lean.rows import column
from normlab.records.run import EpochRow, Measures
from normlab.records.store import RunRecord
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

TOLERANCE = 1e-6
"""Ten times the rounding of a share that was computed in float32."""


@check("NL009", "Micro F1 equals accuracy", severity="error")
def micro_f1(study: StudyToCheck) -> Result:
    """With one label an image each mistake is one false positive and one false negative.

    So micro precision = micro recall = micro F1 = accuracy; a difference is a defect of the code
    that measured, or a number copied wrongly.
    """
    compared = 0
    faults = []
    for run in study.runs:
        compared += 2 * len(run.rows)
        if any(_differ(run.rows, part) for part in ("train", "validation")):
            faults += _faults(run, _of_epochs(run))
        ends = _of_outcome(run)
        compared += len(ends)
        faults += _faults(run, ends)
    if not compared:
        return not_applicable("no run has been measured yet")
    if faults:
        return finding(listed(faults))
    return passed(f"in all {compared} measurements")


def _differ(rows: Sequence[EpochRow], part: str) -> bool:
    difference = column(rows, f"{part}.micro_f1") - column(rows, f"{part}.accuracy")
    return bool((np.abs(difference) > TOLERANCE).any())


def _faults(run: RunRecord, measured: Iterable[tuple[str, Measures]]) -> list[str]:
    return [
        f"{run.spec.arm}, block {run.spec.block + 1}, {part}: micro F1 "
        f"{measures.micro_f1:.4f}, accuracy {measures.accuracy:.4f}"
        for part, measures in measured
        if abs(measures.micro_f1 - measures.accuracy) > TOLERANCE
    ]


def _of_epochs(run: RunRecord) -> Iterator[tuple[str, Measures]]:
    for row in run.rows:
        yield f"epoch {row.epoch}, train", row.train
        yield f"epoch {row.epoch}, validation", row.validation


def _of_outcome(run: RunRecord) -> list[tuple[str, Measures]]:
    parts = ("train", "validation", "test")
    found = [(f"outcome, {part}", getattr(run.outcome, part, None)) for part in parts]
    return [(name, measures) for name, measures in found if measures is not None]
