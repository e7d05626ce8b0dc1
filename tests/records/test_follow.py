"""Rows as they come: each once, whole, and also after a run went on."""

from __future__ import annotations

import pytest

from normlab.errors import StorageError
from normlab.records.follow import RowFollower
from normlab.records.run import EpochRow
from normlab.records.store import RunFolder


def row(epoch: int) -> EpochRow:
    measures = {"loss": 1, "accuracy": 0, "micro_f1": 0, "macro_f1": 0, "images": 5}
    return EpochRow(
        epoch=epoch, learning_rate=1, train=measures, validation=measures, seconds=1,
        images_per_second=1,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path)


def test_each_row_once(folder) -> None:
    folder.append_row(row(1))
    follower = RowFollower(folder)
    assert follower.new_rows() == []
    folder.append_row(row(2))
    folder.append_row(row(3))
    assert [found.epoch for found in follower.new_rows()] == [2, 3]
    assert follower.new_rows() == []
    assert follower.epochs == 3


def test_nothing_is_read_twice(folder, monkeypatch) -> None:
    for epoch in range(1, 50):
        folder.append_row(row(epoch))
    follower = RowFollower(folder)
    parsed = []
    parse = EpochRow.model_validate_json
    monkeypatch.setattr(
        EpochRow, "model_validate_json", lambda line: parsed.append(line) or parse(line)
    )
    folder.append_row(row(50))
    for _ in range(10):
        follower.new_rows()
    assert len(parsed) == 1


def test_half_a_line_waits(folder) -> None:
    follower = RowFollower(folder)
    line = row(1).model_dump_json() + "\n"
    path = folder.path / "epochs.jsonl"
    path.write_text(line[:20])
    assert follower.new_rows() == []
    path.write_text(line)
    assert [found.epoch for found in follower.new_rows()] == [1]


def test_a_run_that_goes_on_drops_rows_and_writes_them_again(folder) -> None:
    follower = RowFollower(folder)
    for epoch in (1, 2, 3):
        folder.append_row(row(epoch))
    assert len(follower.new_rows()) == 3
    folder.keep_rows(2)
    assert follower.new_rows() == []
    folder.append_row(row(3))
    folder.append_row(row(4))
    assert [found.epoch for found in follower.new_rows()] == [4]


def test_a_damaged_line_is_named(folder) -> None:
    follower = RowFollower(folder)
    (folder.path / "epochs.jsonl").write_text("{}\n")
    with pytest.raises(StorageError, match=r"epochs\.jsonl line 1 is damaged"):
        follower.new_rows()


@pytest.mark.parametrize("epochs", [(2,), (1, 3), (1, 3, 2, 4, 3, 4), (1, 1)])
def test_rows_that_are_not_in_order_are_refused(folder, epochs) -> None:
    for epoch in epochs:
        folder.append_row(row(epoch))
    with pytest.raises(StorageError, match=r"epochs\.jsonl line \d .* delete the run's folder"):
        folder.read_rows()
