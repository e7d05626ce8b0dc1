"""Tables 1 to 7 of the course: one experiment, then by normalization and by batch size.

    1      the first experiment: one run, training and validation
    2, 3   by normalization: training, validation
    4, 5   batch normalization by batch size: training, validation
    6, 7   group normalization by batch size: training, validation

Rows are means ± standard deviation over blocks, in evaluation mode at the reported epoch. A table
whose runs are not in the studies is left out, and said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from normlab.records.run import Measures
from normlab.records.store import RunRecord
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import LABELS
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.setting import Setting
from normlab.stats.inference.intervals import summarise

Part = Literal["train", "validation", "test"]
METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
PARTS: dict[Part, str] = {"train": "Training", "validation": "Validation", "test": "Test"}
OVER_BATCHES = {"bn": (4, 5), "gn": (6, 7)}
"""Norm → the numbers of its tables by batch size."""
NOTE = "Mean ± standard deviation over n blocks, in evaluation mode at the reported epoch."


def course_tables(studies: Sequence[StudyRecords]) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables that the studies have runs for, and what is missing for the others."""
    tables: list[Table] = []
    missing: list[str] = []
    first = next((one for study in studies for one in _ended(study)), None)
    if first is not None:
        tables.append(_first_experiment(first))
    by_norm = next((found for study in studies if (found := _by_norm(study))), None)
    if by_norm is None:
        missing.append(
            "Tables 2 and 3 (by normalization) need: normlab compare DATA --recipe normalization"
        )
    else:
        head, rows, where = by_norm
        for number, part in ((2, "train"), (3, "validation")):
            tables.append(_table(number, part, "by normalization", "norm", rows, where, head))
    for norm, (train, validation) in OVER_BATCHES.items():
        found = next((found for study in studies if (found := _by_batch(study, norm))), None)
        if found is None:
            missing.append(
                f"Tables {train} and {validation} ({norm} by batch size) need: normlab compare "
                "DATA --recipe batch-size"
            )
            continue
        _, rows, where = found
        for number, part in ((train, "train"), (validation, "validation")):
            tables.append(
                _table(number, part, f"of {norm} by batch size", "batch", rows, where, norm)
            )
    if by_norm is not None:  # after those that have a number in the course
        head, rows, where = by_norm
        tables.append(_table(0, "test", "by normalization", "norm", rows, where, head))
    return tuple(tables), tuple(missing)


Rows = list[tuple[str, list[RunRecord]]]


def _ended(study: StudyRecords) -> list[RunRecord]:
    return [run for run in study.runs if run.outcome is not None and run.outcome.test is not None]


def _first_experiment(run: RunRecord) -> Table:
    outcome, spec = run.outcome, run.spec
    assert outcome is not None
    rows: list[tuple[Cell, ...]] = []
    for part in ("train", "validation"):
        found: Measures | None = getattr(outcome, part)
        if found is not None:
            rows.append(
                (part, *(Printed(getattr(found, m), f"{getattr(found, m):.4f}") for m in METRICS))
            )
    return Table(
        slug="table-1",
        title="The first experiment",
        caption=f"{spec.arm}, {spec.optimizer.name}, learning rate "
        f"{spec.optimizer.learning_rate:g}, batch {spec.batch_size}, block {spec.block + 1}, after "
        f"epoch {outcome.reported_epoch}; one run, in evaluation mode.",
        head=("part", *(LABELS[metric] for metric in METRICS)),
        rows=tuple(rows),
    )


def _by_norm(study: StudyRecords) -> tuple[str, Rows, str] | None:
    """The runs of the first setting with two norms or more."""
    groups: dict[Setting, dict[str, list[RunRecord]]] = {}
    if study.plan.analysis.compare != "norm":
        return None
    for run in study.runs:
        arms = groups.setdefault(Setting.of(run.spec, study.plan), {})
        arms.setdefault(run.spec.arm, []).append(run)
    for setting, arms in groups.items():
        if len(arms) > 1:
            return "norm", list(arms.items()), str(setting)
    return None


def _by_batch(study: StudyRecords, norm: str) -> tuple[str, Rows, str] | None:
    """The runs of a norm at two batch sizes or more, at the first optimizer and rate."""
    groups: dict[tuple[str, float], dict[int, list[RunRecord]]] = {}
    for run in study.runs:
        if run.spec.norm.partition(":")[0] == norm:
            key = run.spec.optimizer.name, run.spec.optimizer.learning_rate
            groups.setdefault(key, {}).setdefault(run.spec.batch_size, []).append(run)
    for (optimizer, rate), sizes in groups.items():
        if len(sizes) > 1:
            rows = [(str(size), sizes[size]) for size in sorted(sizes)]
            return norm, rows, f"{optimizer}, learning rate {rate:g}"
    return None


def _table(
    number: int, part: str, what: str, first: str, rows: Rows, where: str, norm: str
) -> Table:
    found: list[tuple[Cell, ...]] = []
    for name, runs in rows:
        measures = [getattr(run.outcome, part) for run in runs if run.outcome is not None]
        known = [one for one in measures if one is not None]
        figures = [summarise(np.array([getattr(m, k) for m in known], float)) for k in METRICS]
        found.append((name, *figures, len(known)))
    slug = f"table-{number}" if number else f"test-{norm}"
    title = f"{PARTS[part]} {what}"  # type: ignore[index]
    head = (first, *(LABELS[metric] for metric in METRICS), "n")
    return Table(slug, title, f"{where}. {NOTE}", head, tuple(found))
