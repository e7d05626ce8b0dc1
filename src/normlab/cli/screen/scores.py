"""How right predictions are: accuracy, F1 and what was taken for what, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from rich.cells import cell_len, set_cell_size
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
    needed = max(5, max(len(f"{n}") for n in matrix.ravel()) + 1)
    room = (width - NAME - 2) // len(occurring)
    if len(occurring) <= MATRIX and needed <= room:
        yield from _matrix(matrix, occurring, classes, needed, room)
    else:
        yield from _largest(matrix, classes)


def _matrix(
    matrix: Int[np.ndarray, "r r"],
    shown: Int[np.ndarray, " k"],
    classes: Sequence[str],
    needed: int,
    room: int,
) -> Iterator[str]:
    """The rows by name; the columns too where all names fit, else by the numbers of the rows."""
    names = [classes[index] for index in shown]
    wide = max(needed, *(cell_len(name) + 2 for name in names))
    heads = [isolated(name) for name in names]
    rows = [isolated(_cut(name, NAME)) for name in names]
    if wide > room:
        wide, heads = needed, [f"{n}" for n in range(1, len(names) + 1)]
        rows = [
            f"{n:>2} {isolated(_cut(name, NAME - 3))}" for n, name in zip(heads, names, strict=True)
        ]
    yield "rows: the true class; columns: the predicted one"
    yield " " * (NAME + 2) + "".join(" " * (wide - cell_len(head)) + head for head in heads)
    for index, row in zip(shown, rows, strict=True):
        cells = "".join(f"{matrix[index, other] or '·':>{wide}}" for other in shown)
        yield f"{row}{' ' * (NAME + 2 - cell_len(row))}{cells}"


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
    return name if cell_len(name) <= width else f"{set_cell_size(name, width - 1)}…"
