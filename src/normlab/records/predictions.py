"""What a network said of every test image, and whether that fits the figures of its outcome."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

import numpy as np

from normlab.errors import StorageError
from normlab.inputs import PARSER_FAULTS
from normlab.records.files import TRAIN_AGAIN
from normlab.records.run import Measures

SHARE_TOLERANCE = 1e-5
"""Accuracy and F1 are stored as float32 shares."""
LOSS_TOLERANCE = 0.01
"""Of the mean loss, relative and absolute: it was computed from logits, here from probabilities."""
SUM_TOLERANCE = 0.01
"""Of the sum of an image's probabilities."""


@dataclass(frozen=True)
class Predictions:
    """Per test image: its id, its true class and the probability of each class."""

    ids: np.ndarray
    """Shape (images,), text: the path inside the source."""
    labels: np.ndarray
    """Shape (images,), integer class index."""
    probabilities: np.ndarray
    """Shape (images, classes), float32, rows sum to 1."""
    groups: np.ndarray | None = None
    """Shape (images,), integer: images of one number belong together (copies, one animal, one
    patient); None in records that were made before it was kept."""


def pack(predictions: Predictions) -> bytes:
    """The bytes of predictions.npz."""
    buffer = io.BytesIO()
    arrays = {
        "ids": predictions.ids,
        "labels": predictions.labels,
        "probabilities": predictions.probabilities,
    }
    if predictions.groups is not None:
        arrays["groups"] = predictions.groups
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack(content: bytes, path: Path) -> Predictions:
    """The way back.

    Raises:
        StorageError: these are no predictions.
    """
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            ids, labels, probabilities = (
                _array(archive, name) for name in ("ids", "labels", "probabilities")
            )
            grouped = "groups.npy" in archive.namelist()
            groups = _array(archive, "groups") if grouped else None
            return Predictions(ids, labels, probabilities, groups)
    except PARSER_FAULTS as error:
        raise StorageError(f"{path} is damaged; {TRAIN_AGAIN}") from error


def _array(archive: ZipFile, name: str) -> np.ndarray:
    """One array of an .npz, as np.load reads it, but a header that was seen before is not parsed
    again: that is a third of the time of reading the predictions of a thousand runs.
    """
    content = archive.read(f"{name}.npy")
    if content[:8] != b"\x93NUMPY\x01\x00":  # a header of over 64 KiB, which we do not write
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, order, dtype = _header(content[8:start])
    if dtype.hasobject:
        raise ValueError("arrays of Python objects are not read")
    values = np.frombuffer(content, dtype, math.prod(shape), start)
    return values.reshape(shape, order=order).copy(order="K")  # one that may be written to


@lru_cache(maxsize=256)
def _header(content: bytes) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Shape, order and type of an array, of what follows the magic string."""
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(content))
    return shape, "F" if fortran else "C", dtype


def check_agreement(
    predictions: Predictions, measures: Measures, classes: int | None, path: Path
) -> None:
    """Raise a StorageError unless the predictions give the figures of the test part.

    Accuracy and macro F1 are recomputed to within SHARE_TOLERANCE, where two classes tie for an
    image in the bounds that the tie leaves; the loss, where no probability is 0, to within
    LOSS_TOLERANCE.
    """
    fault = _shape_fault(predictions, classes) or _figure_fault(predictions, measures)
    if fault is not None:
        raise StorageError(f"{path} does not agree with the run's outcome: {fault}; {TRAIN_AGAIN}")


def _shape_fault(predictions: Predictions, classes: int | None) -> str | None:
    labels, shares = predictions.labels, predictions.probabilities
    if shares.ndim != 2 or len(shares) == 0 or (classes is not None and shares.shape[1] != classes):
        return f"its probabilities have the shape {shares.shape}"
    if labels.shape != (len(shares),) or predictions.ids.shape != labels.shape:
        return f"it has {labels.size} labels and {predictions.ids.size} names of {len(shares)}"
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= shares.shape[1]:
        return "a label is no class"
    if shares.dtype.kind != "f" or not (shares.min() >= 0 and shares.max() <= 1 + SUM_TOLERANCE):
        return "a probability is outside of 0 to 1"
    if np.abs(shares.sum(1, dtype=np.float64) - 1).max() > SUM_TOLERANCE:
        return "the probabilities of an image do not sum to 1"
    return None


def _figure_fault(predictions: Predictions, measures: Measures) -> str | None:
    labels, shares = predictions.labels.astype(np.int64), predictions.probabilities
    if len(labels) != measures.images:
        return f"it has {len(labels)} images, the outcome {measures.images}"
    true = shares[np.arange(len(labels)), labels]
    best = shares.max(1)
    tied = (shares == best[:, None]).sum(1) > 1
    least, most = (true == best)[~tied].sum() / len(labels), (true == best).mean()
    if not least - SHARE_TOLERANCE <= measures.accuracy <= most + SHARE_TOLERANCE:
        return f"its accuracy is {most:.6f}, the outcome's {measures.accuracy:.6f}"
    if not tied.any():
        macro_f1 = _macro_f1(labels, shares.argmax(1), shares.shape[1])
        if abs(macro_f1 - measures.macro_f1) > SHARE_TOLERANCE:
            return f"its macro F1 is {macro_f1:.6f}, the outcome's {measures.macro_f1:.6f}"
    if true.min() > np.finfo(np.float32).tiny:
        loss = float(-np.log(true.astype(np.float64)).mean())
        if abs(loss - measures.loss) > LOSS_TOLERANCE * (1 + abs(loss)):
            return f"its loss is {loss:.4f}, the outcome's {measures.loss:.4f}"
    return None


def _macro_f1(labels: np.ndarray, predicted: np.ndarray, classes: int) -> float:
    """The mean F1 over the classes that occur among labels or predictions."""
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes)
    confusion = confusion.reshape(classes, classes)
    total = confusion.sum(0) + confusion.sum(1)
    each = 2 * np.diag(confusion)[total > 0] / total[total > 0]
    return float(each.mean())
