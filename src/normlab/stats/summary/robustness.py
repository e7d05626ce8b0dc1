"""Where an arm breaks: accuracy under changes of the images, over blocks.

    loss of an arm under a change = accuracy as it is − mean accuracy over the five strengths

in one block, on the same images. Arms are compared by the difference of their losses, block by
block, as accuracies are; Holm's correction is over all arms and changes of a setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from normlab.records.robustness import (
    AS_IT_IS,
    COMPOSITION,
    COMPOSITIONS,
    CORRUPTIONS,
    RobustnessRow,
    latest,
)
from normlab.stats.data.layout import Layout
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import holm
from normlab.stats.inference.intervals import PairedDifference, paired_difference

LEVELS = tuple(map(str, range(1, 6)))


@dataclass(frozen=True)
class Point:
    """One arm under one condition; the interval is a t interval of the mean over blocks."""

    arm: str
    change: str
    level: str
    accuracy: PairedDifference


@dataclass(frozen=True)
class Loss:
    """What an arm loses under a change, and against the reference (arm − reference)."""

    arm: str
    change: str
    loss: PairedDifference
    difference: PairedDifference | None
    """None for the reference itself, and where it has no value."""
    adjusted_p: float | None
    decision: str
    """"loses less", "loses more", "undecided", or "" without a difference."""


@dataclass(frozen=True, eq=False)
class RobustnessTable:
    """What every arm of one setting loses under each change."""

    setting: Setting
    arms: tuple[str, ...]
    reference: str | None
    changes: tuple[str, ...]
    """Changes that were measured whole; COMPOSITION is one if any arm has batch statistics."""
    blocks: int
    images: int
    points: tuple[Point, ...]
    losses: tuple[Loss, ...]

    def point(self, arm: str, change: str, level: str) -> Point | None:
        """One condition of an arm, if it was measured."""
        for point in self.points:
            if (point.arm, point.change, point.level) == (arm, change, level):
                return point
        return None

    def loss(self, arm: str, change: str) -> Loss | None:
        """One change of an arm, if it was measured."""
        return next((x for x in self.losses if (x.arm, x.change) == (arm, change)), None)


def robustness_table(
    layout: Layout, rows: Sequence[RobustnessRow], reference: str, alpha: float
) -> RobustnessTable | None:
    """The rows of the last settings, judged; None where no run of this setting has any."""
    own = latest(rows)
    found: dict[tuple[str, int], dict[tuple[str, str], float]] = {}
    names = {
        record.folder.name: (arm, block)
        for arm in layout.arms
        for block in layout.blocks
        if (record := layout.record(arm, block)) is not None
    }
    for row in own:
        if row.run in names:
            found.setdefault(names[row.run], {})[row.condition] = row.accuracy
    found = {cell: values for cell, values in found.items() if (AS_IT_IS, "0") in values}
    if not found:
        return None
    arms = tuple(arm for arm in layout.arms if any(cell[0] == arm for cell in found))
    levels = dict.fromkeys(CORRUPTIONS, LEVELS) | {COMPOSITION: COMPOSITIONS}
    measured = {condition for values in found.values() for condition in values}
    changes = tuple(
        name for name, all_of in levels.items() if all((name, x) in measured for x in all_of)
    )
    conditions = [(AS_IT_IS, "0"), *((name, x) for name in changes for x in levels[name])]
    points = [
        Point(arm, name, level, paired_difference(values, alpha))
        for arm in arms
        for name, level in conditions
        if (values := _values(found, arm, (name, level))).size
    ]
    return RobustnessTable(
        setting=layout.setting,
        arms=arms,
        reference=reference if reference in arms else None,
        changes=changes,
        blocks=max(sum(cell[0] == arm for cell in found) for arm in arms),
        images=own[-1].images,
        points=tuple(points),
        losses=_losses(found, arms, reference, changes, alpha),
    )


def _losses(
    found: Mapping[tuple[str, int], Mapping[tuple[str, str], float]],
    arms: Sequence[str],
    reference: str,
    changes: Sequence[str],
    alpha: float,
) -> tuple[Loss, ...]:
    lost = {
        (arm, block, name): values[AS_IT_IS, "0"]
        - float(np.mean([values[name, level] for level in LEVELS]))
        for (arm, block), values in found.items()
        for name in changes
        if name != COMPOSITION and all((name, level) in values for level in LEVELS)
    }
    blocks = sorted({block for _, block in found})
    cells = []
    for arm in arms:
        for name in changes:
            own = [b for b in blocks if (arm, b, name) in lost]
            both = [b for b in own if (reference, b, name) in lost]
            if not own:
                continue
            loss = paired_difference(np.array([lost[arm, b, name] for b in own]), alpha)
            difference = None
            if arm != reference and both:
                values = [lost[arm, b, name] - lost[reference, b, name] for b in both]
                difference = paired_difference(np.array(values), alpha)
            cells.append((arm, name, loss, difference))
    tested = [d.p_value for *_, d in cells if d is not None]
    corrected = iter(holm(tested, alpha)[0])
    losses = []
    for arm, name, loss, difference in cells:
        p = None if difference is None else next(corrected)
        losses.append(Loss(arm, name, loss, difference, p, _decision(difference, p, alpha)))
    return tuple(losses)


def _decision(difference: PairedDifference | None, p: float | None, alpha: float) -> str:
    if difference is None or difference.mean is None:
        return ""
    if p is None or p >= alpha:
        return "undecided"
    return "loses less" if difference.mean < 0 else "loses more"


def _values(
    found: Mapping[tuple[str, int], Mapping[tuple[str, str], float]],
    arm: str,
    condition: tuple[str, str],
) -> Float[np.ndarray, " blocks"]:
    cells = sorted(found)
    return np.array([found[c][condition] for c in cells if c[0] == arm and condition in found[c]])
