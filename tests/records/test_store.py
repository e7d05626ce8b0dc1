"""The run folder: whole files, rows that survive a cut, and no silent repair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from normlab.errors import PlanError, StorageError
from normlab.records.plan import read_plan
from normlab.records.run import DataSpec, EpochRow, Measures, Outcome, RunSpec
from normlab.records.store import Predictions, RunFolder, atomic_write, read_runs
from normlab.train.checkpoint import load_checkpoint

SPEC = RunSpec(
    arm="bn",
    block=0,
    norm="bn",
    data=DataSpec(fingerprint="f", classes=("a", "b"), image_size=32),
)


def row(epoch: int) -> EpochRow:
    measures = Measures(loss=0.1 * epoch, accuracy=1 / 3, micro_f1=1 / 3, macro_f1=0.2, images=3)
    return EpochRow(
        epoch=epoch,
        learning_rate=0.1,
        train=measures,
        validation=measures,
        seconds=1.5,
        images_per_second=2.0,
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "runs" / SPEC.folder_name)
    made.create(SPEC, {"threads": 2})
    return made


def test_everything_comes_back(folder: RunFolder, tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        folder.append_row(row(epoch))
    predictions = Predictions(
        ids=np.array(["a/1.jpg", "ä/2.jpg"]),
        labels=np.array([0, 1]),
        probabilities=np.array([[0.25, 0.75], [1, 0]], np.float32),
    )
    folder.write_predictions(predictions)
    folder.write_outcome(Outcome(status="finished", epochs=3))
    (record,) = read_runs(tmp_path)
    assert record.spec == SPEC
    assert record.rows == (row(1), row(2), row(3))
    assert record.outcome.status == "finished"
    assert record.environment == {"threads": 2}
    back = folder.read_predictions()
    assert list(back.ids) == ["a/1.jpg", "ä/2.jpg"]
    np.testing.assert_array_equal(back.probabilities, predictions.probabilities)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_row_cut_in_half_never_happened(folder: RunFolder, cut: int) -> None:
    folder.append_row(row(1))
    folder.append_row(row(2))
    path = folder.path / "epochs.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert folder.read_rows() == (row(1),)
    assert folder.keep_rows(5) == (row(1),)
    folder.append_row(row(2))
    assert folder.read_rows() == (row(1), row(2))


def test_rows_after_the_checkpoint_are_dropped(folder: RunFolder) -> None:
    for epoch in (1, 2, 3):
        folder.append_row(row(epoch))
    assert folder.keep_rows(2) == (row(1), row(2)) == folder.read_rows()
    assert folder.keep_rows(0) == ()


def test_a_damaged_row_in_the_middle_is_named(folder: RunFolder) -> None:
    folder.append_row(row(1))
    path = folder.path / "epochs.jsonl"
    path.write_text("half a row\n" + path.read_text())
    with pytest.raises(StorageError, match=r"epochs.jsonl line 1 is damaged"):
        folder.read_rows()


def test_a_damaged_outcome_is_named(folder: RunFolder) -> None:
    (folder.path / "outcome.json").write_text('{"status": "fin')
    with pytest.raises(StorageError, match=r"outcome.json is damaged .*; delete the run's folder"):
        folder.read()


def test_a_damaged_environment_is_named(folder: RunFolder) -> None:
    (folder.path / "environment.json").write_text('{"threads"')
    with pytest.raises(StorageError, match=r"environment.json is damaged; delete the run's folder"):
        folder.read()


@pytest.mark.parametrize("kept", [0, 10, 100, -30])
def test_damaged_predictions_are_named(folder: RunFolder, kept: int) -> None:
    folder.write_predictions(
        Predictions(np.array(["a", "b"]), np.array([0, 1]), np.eye(2, dtype=np.float32))
    )
    path = folder.path / "predictions.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StorageError, match=r"predictions.npz is damaged; delete the run's folder"):
        folder.read_predictions()


def test_a_finished_run_has_all_its_epochs(folder: RunFolder) -> None:
    folder.append_row(row(1))
    folder.write_outcome(Outcome(status="interrupted", epochs=2))
    assert folder.read().rows == (row(1),)  # what is continued may be shorter or longer
    folder.write_outcome(Outcome(status="finished", epochs=2))
    with pytest.raises(StorageError, match=r"epochs.jsonl has 1 of 2 epochs; delete the run's"):
        folder.read()
    assert folder.read(rows=False).rows == ()


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*file: No space left on device"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_appending_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot append to .*log.txt: No such file"):
        RunFolder(tmp_path / "gone").log("a line")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        atomic_write(tmp_path / "file" / "below", b"")


@pytest.mark.parametrize(
    ("place", "value"),
    [(8, 99), (6, 0x40), (4, 234), (4, 80)],
    ids=["compression", "strong encryption", "version 23.4", "version 8.0"],
)
def test_predictions_in_a_zip_of_another_kind(folder: RunFolder, place: int, value: int) -> None:
    """A flipped byte gave a NotImplementedError of zipfile."""
    folder.write_predictions(
        Predictions(np.array(["a"]), np.array([0]), np.array([[1, 0]], np.float32))
    )
    path = folder.path / "predictions.npz"
    content = bytearray(path.read_bytes())
    central = content.find(b"PK\x01\x02")  # the list of members has the same fields, two later
    content[central + place + 2] = value
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"predictions.npz is damaged; delete the run's folder"):
        folder.read_predictions()


def test_an_environment_that_is_nested_without_end(folder: RunFolder) -> None:
    (folder.path / "environment.json").write_text('{"a":' * 50_000)
    with pytest.raises(StorageError, match=r"environment.json is damaged; delete the run's folder"):
        folder.read()


def test_damaged_files_of_users(folder: RunFolder) -> None:
    """Those in ../shared/cases/crashers, where they are there."""
    crashers = Path(__file__).parents[3] / "shared" / "cases" / "crashers"
    if not crashers.is_dir():
        pytest.skip("the damaged files in ../shared/cases/crashers are not here")
    for damaged in sorted(crashers.glob("*.bin")):
        name = damaged.name.split("-builtins")[0]
        target = folder.path / name.replace("checkpoint-", "")
        target.write_bytes(damaged.read_bytes())
        with pytest.raises((StorageError, PlanError), match=r"damaged|not valid|cannot be cont"):
            read_damaged(folder, name)


def read_damaged(folder: RunFolder, name: str) -> None:
    """Read the file as the program does."""
    match name:
        case "predictions.npz":
            folder.read_predictions()
        case "environment.json":
            folder.read()
        case "study.toml":
            read_plan(folder.path / name)
        case _:
            network = torch.nn.Linear(1, 1)
            optimizer = torch.optim.SGD(network.parameters(), 0.1)
            schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
            load_checkpoint(folder.path, network, optimizer, schedule)
