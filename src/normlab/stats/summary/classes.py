"""What each class says: recall and confusions of every arm, from the stored predictions.

Arms are compared inside blocks, as everywhere; the blocks here are those in which every arm kept
its predictions, so that all rows of a table rest on the same trainings.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from normlab.records.store import Predictions, RunRecord
from normlab.stats.data.layout import Layout
from normlab.stats.data.reading import usable_predictions
from normlab.stats.data.setting import Setting
from normlab.stats.inference.comparison import holm
from normlab.stats.inference.intervals import PairedDifference, paired_difference

ENOUGH = 0.5
"""An arm is kept if it has the predictions of at least this share of the blocks of the fullest."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """Predictions of one setting, counted by class."""

    setting: Setting
    classes: tuple[str, ...]
    images: Int[np.ndarray, " classes"]
    """Test images of each class."""
    arms: tuple[str, ...]
    blocks: tuple[int, ...]
    """The blocks in which all of these arms kept their predictions."""
    recall: Float[np.ndarray, "arms blocks classes"]
    """Share of a class's images that were named rightly; nan for a class without images."""
    confusion: Int[np.ndarray, "arms classes classes"]
    """Images by true and predicted class, added up over the blocks."""
    left_out: tuple[str, ...]
    """What could not be counted, a phrase each."""


@dataclass(frozen=True)
class ClassDifference:
    """The recall of one class, arm − reference."""

    arm: str
    name: str
    difference: PairedDifference
    adjusted_p: float | None
    """Holm over all classes and arms of the setting."""


@dataclass(frozen=True)
class ConfusedPair:
    """A class that is taken for another."""

    true: str
    predicted: str
    shares: tuple[float, ...]
    """The share of the true class's images, for each arm of the table."""


@dataclass(frozen=True, eq=False)
class Collected:
    """The predictions of one setting, all on the same images in the same order."""

    found: Mapping[tuple[str, int], tuple[Predictions, RunRecord]]
    """Predictions and the run that made them, by arm and block."""
    left_out: tuple[str, ...]
    """What could not be used, a phrase each."""


def collect(layout: Layout) -> Collected:
    """Read the predictions of every run of a setting that kept any."""
    found: dict[tuple[str, int], tuple[Predictions, RunRecord]] = {}
    left_out = []
    for arm in layout.arms:
        for block in layout.blocks:
            record = layout.record(arm, block)
            if record is None or record.outcome is None or record.outcome.test is None:
                continue
            predictions = usable_predictions(record)
            if predictions is None:
                left_out.append(f"{arm} in block {block + 1} has no readable predictions")
            else:
                found[arm, block] = (predictions, record)
    image_sets = Counter(_images(predictions) for predictions, _ in found.values())
    usual = image_sets.most_common(1)[0][0] if image_sets else b""
    for (arm, block), (predictions, _) in list(found.items()):
        if _images(predictions) != usual:
            left_out.append(f"{arm} in block {block + 1} was judged on other images")
            del found[arm, block]
    return Collected(found, tuple(left_out))


def class_table(layout: Layout, collected: Collected) -> ClassTable | None:
    """Count the predictions of one setting; None where no run kept any that can be read."""
    found, left_out = collected.found, list(collected.left_out)
    if not found:
        return None
    first, record = next(iter(found.values()))
    classes = record.spec.data.classes
    counts = {arm: sum((arm, block) in found for block in layout.blocks) for arm in layout.arms}
    fullest = max(counts.values())
    arms = tuple(arm for arm in layout.arms if counts[arm] >= ENOUGH * fullest)
    left_out += [f"{a} kept predictions in {counts[a]} blocks" for a in counts if a not in arms]
    blocks = tuple(b for b in layout.blocks if all((arm, b) in found for arm in arms))
    if not blocks:
        return None
    confusion = np.array(
        [[_confusion(found[arm, block][0], len(classes)) for block in blocks] for arm in arms]
    )
    images = np.bincount(first.labels, minlength=len(classes))
    right = np.diagonal(confusion, axis1=2, axis2=3).astype(float)
    recall = np.divide(right, images, out=np.full_like(right, math.nan), where=images > 0)
    return ClassTable(
        layout.setting, classes, images, arms, blocks, recall, confusion.sum(1), tuple(left_out)
    )


def class_differences(
    table: ClassTable, reference: str, alpha: float
) -> tuple[ClassDifference, ...]:
    """Every arm and class against the reference; empty if the table does not have it.

    Holm's correction is over all of them: with 6 arms and 25 classes, 150 looks would show seven
    differences that are none.
    """
    if reference not in table.arms:
        return ()
    base = table.recall[table.arms.index(reference)]
    cells = [
        (arm, name, paired_difference(table.recall[a, :, c] - base[:, c], alpha))
        for a, arm in enumerate(table.arms)
        if arm != reference
        for c, name in enumerate(table.classes)
        if table.images[c]
    ]
    adjusted, _ = holm([d.p_value for _, _, d in cells], alpha)
    return tuple(
        ClassDifference(arm, name, d, p) for (arm, name, d), p in zip(cells, adjusted, strict=True)
    )


def confused_pairs(table: ClassTable, number: int = 12) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that most images fall between, over all arms, most first."""
    total = table.confusion.sum(0)
    np.fill_diagonal(total, 0)
    order = np.argsort(-total, axis=None, kind="stable")[:number]
    pairs = []
    for true, predicted in zip(*np.unravel_index(order, total.shape), strict=True):
        if total[true, predicted] == 0:
            break
        images = len(table.blocks) * table.images[true]
        shares = tuple(float(n / images) for n in table.confusion[:, true, predicted])
        pairs.append(ConfusedPair(table.classes[true], table.classes[predicted], shares))
    return tuple(pairs)


def mean_recall(table: ClassTable) -> Float[np.ndarray, "arms classes"]:
    """The mean recall of every arm and class over the blocks."""
    mean: Float[np.ndarray, "arms classes"] = table.recall.mean(axis=1)
    return mean


def _images(predictions: Predictions) -> bytes:
    """A hash that two runs share exactly if they predicted the same images in the same order."""
    digest = hashlib.sha256(predictions.labels.astype(np.int64).tobytes())
    digest.update("\0".join(map(str, predictions.ids.tolist())).encode())
    return digest.digest()


def _confusion(predictions: Predictions, classes: int) -> Int[np.ndarray, "classes classes"]:
    predicted = predictions.probabilities.argmax(axis=1)
    pairs = predictions.labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
