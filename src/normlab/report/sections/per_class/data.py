"""The classes of a setting as plain data: recall against a reference, confusions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from normlab.report.export.table import Printed, Table
from normlab.stats.summary.classes import (
    ClassDifference,
    ClassTable,
    ConfusedPair,
    class_differences,
    confused_pairs,
    mean_recall,
)

MAX_CLASSES = 40
"""A matrix of more classes than this cannot be read; the confused pairs can."""


@dataclass(frozen=True, eq=False)
class RecallFigure:
    """Differences of recall, for a paper."""

    slug: str
    title: str
    names: tuple[str, ...]
    arms: tuple[str, ...]
    points: Float[np.ndarray, "classes arms"]


@dataclass(frozen=True, eq=False)
class ConfusionFigure:
    """How often each class is taken for each other, by one arm."""

    slug: str
    title: str
    names: tuple[str, ...]
    percent: Float[np.ndarray, "classes classes"]


@dataclass(frozen=True)
class RecallCell:
    """One arm and class: its recall, and whether its difference to the plan's reference holds."""

    recall: float
    firm: bool


@dataclass(frozen=True)
class RecallRow:
    """One class; those in which the arms differ most come first."""

    name: str
    images: int
    cells: tuple[RecallCell, ...]


@dataclass(frozen=True, eq=False)
class ClassView:
    """What the page shows of the classes of a setting."""

    arms: tuple[str, ...]
    reference: str
    """The plan's where it has predictions, else the first arm."""
    blocks: int
    rows: tuple[RecallRow, ...]
    firm: int
    """Differences to the reference that hold after the correction."""
    classes: tuple[str, ...]
    confusion: Mapping[str, list[list[int]]]
    """Images by true and predicted class of each arm; empty with too many classes."""
    pairs: tuple[ConfusedPair, ...]
    left_out: tuple[str, ...]


def class_view(table: ClassTable, reference: str, alpha: float) -> ClassView:
    """The page's view of a class table."""
    reference = reference if reference in table.arms else table.arms[0]
    recall = mean_recall(table)
    base = recall[table.arms.index(reference)]
    differences = class_differences(table, reference, alpha)
    firm = {(d.arm, d.name) for d in differences if is_firm(d, alpha)}
    spread = np.abs(recall - base).max(axis=0, initial=0.0)
    order = sorted(
        (c for c in range(len(table.classes)) if table.images[c]), key=lambda c: -spread[c]
    )
    rows = tuple(
        RecallRow(
            name=table.classes[c],
            images=int(table.images[c]),
            cells=tuple(
                RecallCell(float(recall[a, c]), (arm, table.classes[c]) in firm)
                for a, arm in enumerate(table.arms)
            ),
        )
        for c in order
    )
    small = len(table.classes) <= MAX_CLASSES
    confusion = {arm: table.confusion[a].tolist() for a, arm in enumerate(table.arms)}
    return ClassView(
        arms=table.arms,
        reference=reference,
        blocks=len(table.blocks),
        rows=rows,
        firm=len(firm),
        classes=table.classes,
        confusion=confusion if small else {},
        pairs=confused_pairs(table),
        left_out=table.left_out,
    )


def is_firm(difference: ClassDifference, alpha: float) -> bool:
    """Whether a difference holds after the correction for the number of looks."""
    return difference.adjusted_p is not None and difference.adjusted_p < alpha


def recall_figure(table: ClassTable, view: ClassView) -> RecallFigure | None:
    """Differences in points, the most different classes first; None with one arm."""
    arms = tuple(arm for arm in table.arms if arm != view.reference)
    if not arms:
        return None
    rows = view.rows[:MAX_CLASSES]
    index = {arm: a for a, arm in enumerate(view.arms)}
    base = [row.cells[index[view.reference]].recall for row in rows]
    points = np.array(
        [
            [100 * (row.cells[index[arm]].recall - own) for arm in arms]
            for row, own in zip(rows, base, strict=True)
        ]
    )
    return RecallFigure(
        slug=f"recall-{table.setting.slug}",
        title=f"Recall minus that of {view.reference} (points)",
        names=tuple(row.name for row in rows),
        arms=arms,
        points=points,
    )


def confusion_figure(table: ClassTable, view: ClassView) -> ConfusionFigure | None:
    """The confusion matrix of the reference; None with too many classes to read."""
    if not view.confusion:
        return None
    counts = np.array(view.confusion[view.reference], dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    percent = 100 * np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return ConfusionFigure(
        slug=f"confusion-{table.setting.slug}",
        title=f"Confusions of {view.reference}",
        names=table.classes,
        percent=percent,
    )


def recall_table(table: ClassTable, view: ClassView) -> Table:
    """Recall of every class and arm, for the files."""
    return Table(
        slug=f"recall-{table.setting.slug}",
        title="Recall by class",
        caption=(
            f"{table.setting.label}. Share of a class's test images that were named rightly, "
            f"mean over {len(table.blocks)} blocks."
        ),
        head=("class", "images", *table.arms),
        rows=tuple(
            (
                row.name,
                row.images,
                *(
                    Printed(None, "")
                    if math.isnan(c.recall)
                    else Printed(c.recall, f"{c.recall:.4f}")
                    for c in row.cells
                ),
            )
            for row in view.rows
        ),
    )
