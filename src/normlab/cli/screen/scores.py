"""How right predictions are: accuracy, F1 and what was taken for what, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from normlab.text import count, isolated

MATRIX = 12
"""Classes up to which the whole matrix is shown; of more only the most frequent confusions."""
PAIRS = 10
NAME = 14
"""Columns of a class's name in the matrix."""


def score_lines(
    true: Int[np.ndarray, " images"],
    said: Int[np.ndarray, " images"],
    classes: Sequence[str],
    width: int = 100,
) -> Iterator[str]:
    """The figures over all images, then the confusion matrix or the largest of its entries.

    Args:
        true: the class of every image.
        said: the predicted one.
        classes: their names.
        width: columns that a line may have.
    """
    occurring = np.union1d(true, said)
    macro = f1_score(true, said, labels=occurring, average="macro", zero_division=0.0)
    micro = f1_score(true, said, average="micro", zero_division=0.0)
    accuracy = accuracy_score(true, said)
    yield (
        f"{count(len(true), 'image')} with a label: accuracy {100 * accuracy:.1f} %"
        f" · micro F1 {100 * micro:.1f} · macro F1 {100 * macro:.1f}"
    )
    matrix = confusion_matrix(true, said, labels=range(len(classes)))
    columns = max(5, max(len(f"{n}") for n in matrix.ravel()) + 1)
    if len(occurring) <= MATRIX and NAME + 2 + columns * len(occurring) <= width:
        yield from _matrix(matrix, occurring, classes, columns)
    else:
        yield from _largest(matrix, classes)


def _matrix(
    matrix: Int[np.ndarray, "r r"], shown: Int[np.ndarray, " k"], classes: Sequence[str], width: int
) -> Iterator[str]:
    yield "rows: the true class; columns: the predicted one"
    names = [classes[index] for index in shown]
    yield " " * (NAME + 2) + "".join(f"{_cut(name, width - 1):>{width}}" for name in names)
    for index, name in zip(shown, names, strict=True):
        cells = "".join(f"{matrix[index, other] or '·':>{width}}" for other in shown)
        yield f"{isolated(_cut(name, NAME)):<{NAME + 2}}{cells}"


def _largest(matrix: Int[np.ndarray, "r r"], classes: Sequence[str]) -> Iterator[str]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:PAIRS]
    pairs = [np.unravel_index(index, wrong.shape) for index in order]
    pairs = [(row, column) for row, column in pairs if wrong[row, column]]
    if pairs:
        yield "most often confused (true → predicted)"
    for row, column in pairs:
        names = f"{isolated(classes[row])} → {isolated(classes[column])}"
        yield f"{wrong[row, column]:>6}  {names}"


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
