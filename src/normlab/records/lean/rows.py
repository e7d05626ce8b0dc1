"""The epochs of a run as one array of numbers, a fraction of what as many objects take."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, overload

import numpy as np
from jaxtyping import Float

from normlab.frozen import of_checked
from normlab.records.run import EpochRow, Measures

_PARTS = ("train", "validation")
_OF_PART = tuple(Measures.model_fields)
_ALONE = ("epoch", "learning_rate", "seconds", "images_per_second")
_NAMES = (*_ALONE, *(f"{part}.{measure}" for part in _PARTS for measure in _OF_PART))
_PLACES = {name: place for place, name in enumerate(_NAMES)}
_numbers = attrgetter(*_NAMES)
_COUNTS = [_PLACES[name] for name in ("epoch", "train.images", "validation.images")]
_EXACT = 2.0**53
"""Counts below this are the same as float64."""


class EpochTable(Sequence[EpochRow]):
    """The rows of a run; each is made when it is asked for.

    >>> measures = Measures(loss=0.5, accuracy=0.8, micro_f1=0.8, macro_f1=0.7, images=10)
    >>> row = EpochRow(epoch=1, learning_rate=0.1, train=measures, validation=measures,
    ...                seconds=2.0, images_per_second=5.0)
    >>> table = EpochTable.of([row])
    >>> table == (row,), len(table), table[-1].validation.accuracy
    (True, 1, 0.8)
    >>> table.column("validation.accuracy")
    array([0.8])
    """

    __slots__ = ("_values",)

    def __init__(self, values: Float[np.ndarray, "fields epochs"]) -> None:
        """Keep the numbers; see `of`."""
        self._values = values

    @classmethod
    def of(cls, rows: Sequence[EpochRow]) -> Sequence[EpochRow]:
        """The rows as a table; as they are where there are none, or a count is beyond float64."""
        if not rows:
            return ()
        values = np.array(list(zip(*map(_numbers, rows), strict=True)), dtype=np.float64)
        if values[_COUNTS].max() >= _EXACT:
            return tuple(rows)
        return cls(values)

    def column(self, name: str) -> Float[np.ndarray, " epochs"]:
        """The values of a field, as "seconds" or "validation.accuracy"; not to be written to."""
        found: Float[np.ndarray, " epochs"] = self._values[_PLACES[name]]
        return found

    def __len__(self) -> int:
        return int(self._values.shape[1])

    @overload
    def __getitem__(self, index: int) -> EpochRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[EpochRow]: ...
    def __getitem__(self, index: int | slice) -> EpochRow | Sequence[EpochRow]:
        if isinstance(index, slice):
            return EpochTable(self._values[:, index])
        return _row(self._values[:, index].tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self._values.tobytes())

    def __repr__(self) -> str:
        return repr(tuple(self))


def column(rows: Sequence[EpochRow], name: str) -> Float[np.ndarray, " epochs"]:
    """The values of a field of these rows, as "seconds" or "validation.accuracy"."""
    if isinstance(rows, EpochTable):
        return rows.column(name)
    value = attrgetter(name)
    return np.array([value(row) for row in rows], dtype=np.float64)


def _row(numbers: list[float]) -> EpochRow:
    first, width = len(_ALONE), len(_OF_PART)
    epoch, learning_rate, seconds, images_per_second = numbers[:first]
    values = {
        "epoch": int(epoch),
        "learning_rate": learning_rate,
        "train": _measures(numbers[first : first + width]),
        "validation": _measures(numbers[first + width :]),
        "seconds": seconds,
        "images_per_second": images_per_second,
    }
    return of_checked(EpochRow, values, values.keys())


def _measures(numbers: list[float]) -> Measures:
    values: dict[str, Any] = dict(zip(_OF_PART, numbers, strict=True))
    values["images"] = int(values["images"])
    return of_checked(Measures, values, values.keys())
