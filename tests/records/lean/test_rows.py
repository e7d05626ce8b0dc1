"""A table of epochs is the rows, in a fraction of the memory."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from normlab.records.lean.rows import EpochTable, column
from normlab.records.run import EpochRow, Measures


def row(epoch: int, loss: float = 0.1, images: int = 7) -> EpochRow:
    train = Measures(loss=loss, accuracy=0.3, micro_f1=0.3, macro_f1=0.25, images=images)
    validation = Measures(loss=2 * loss, accuracy=epoch / 10, micro_f1=0.1, macro_f1=0.2, images=5)
    return EpochRow(
        epoch=epoch, learning_rate=0.1 / epoch, train=train, validation=validation,
        seconds=1.5 * epoch, images_per_second=1e3 / 3,
    )  # fmt: skip


ROWS = tuple(row(epoch) for epoch in range(1, 6))


def test_it_is_the_rows() -> None:
    table = EpochTable.of(ROWS)
    assert isinstance(table, EpochTable)
    assert (len(table), bool(table), table[0], table[-1]) == (5, True, ROWS[0], ROWS[-1])
    assert tuple(table) == ROWS
    assert (table == ROWS, table == list(ROWS), table == EpochTable.of(ROWS)) == (True, True, True)
    assert table != EpochTable.of(ROWS[:4])
    assert table != EpochTable.of((*ROWS[:4], row(5, loss=0.2)))
    assert tuple(table[1:3]) == ROWS[1:3]
    assert [one.model_dump_json() for one in table] == [one.model_dump_json() for one in ROWS]
    assert isinstance(table[0].train.images, int)
    assert repr(table) == repr(ROWS)
    with pytest.raises(IndexError):
        table[5]


@pytest.mark.parametrize("name", ["epoch", "seconds", "train.images", "validation.accuracy"])
def test_a_column_is_that_of_the_rows(name) -> None:
    part, _, measure = name.rpartition(".")
    wanted = [getattr(getattr(one, part) if part else one, measure) for one in ROWS]
    assert column(EpochTable.of(ROWS), name).tolist() == wanted
    assert column(ROWS, name).tolist() == wanted
    assert column((), name).tolist() == []


def test_what_is_no_number_stays_none_and_what_float64_has_not_stays_an_int() -> None:
    for loss in (math.nan, math.inf):
        (found,) = EpochTable.of((row(1, loss=loss),))
        assert np.array_equal(found.train.loss, loss, equal_nan=True)
    assert EpochTable.of(()) == ()
    large = (row(1, images=2**53 + 1),)
    assert EpochTable.of(large)[0].train.images == 2**53 + 1


def test_it_takes_little_memory() -> None:
    lines = [one.model_dump_json() for one in ROWS * 20]

    def kept(as_table: bool) -> int:
        tracemalloc.start()
        rows = tuple(EpochRow.model_validate_json(line) for line in lines)
        found = EpochTable.of(rows) if as_table else rows
        del rows
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found) == 100
        return size

    assert kept(as_table=True) < kept(as_table=False) / 5
