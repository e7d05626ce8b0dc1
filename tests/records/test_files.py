"""Checksums: every byte of a sealed file counts, and an outcome vouches for the other files."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from normlab.errors import DataError, StorageError
from normlab.records import files as files_module
from normlab.records.files import seal, seal_checkpoint, unseal, unseal_checkpoint
from normlab.records.run import DataSpec, EpochRow, Frozen, Measures, Outcome, RunSpec
from normlab.records.store import Predictions, RunFolder, read_optional, read_runs, write_model

PATH = Path("outcome.json")
SEALED = seal(b'{\n "accuracy": 0.25,\n "text": "\xc3\xa4"\n}')


class Value(Frozen):
    number: float


def spec(arm: str = "bn", epochs: int = 3) -> RunSpec:
    data = DataSpec(fingerprint="f", classes=("a", "b"), image_size=32)
    return RunSpec(arm=arm, block=0, norm="bn", data=data, epochs=epochs)


def measures(**changes: float) -> Measures:
    found = {"loss": 0.5, "accuracy": 0.5, "micro_f1": 0.5, "macro_f1": 1 / 3, "images": 2}
    return Measures.model_validate({**found, **changes})


def row(epoch: int, loss: float = 0.5) -> EpochRow:
    found = measures(loss=loss)
    return EpochRow(
        epoch=epoch, learning_rate=0.1, train=found, validation=found, seconds=1.0,
        images_per_second=2.0,
    )  # fmt: skip


def finished(path: Path, arm: str = "bn", epochs: int = 3) -> RunFolder:
    """A run of two test images, both named class 0 with 0.8: right and wrong."""
    own = spec(arm)
    folder = RunFolder(path / "runs" / own.folder_name)
    folder.create(own, {"threads": 2, "arm": arm})
    folder.keep_rows(0)
    for epoch in range(1, epochs + 1):
        folder.append_row(row(epoch, loss=0.1 * epoch))
    shares = np.array([[0.8, 0.2], [0.8, 0.2]], np.float32)
    folder.write_predictions(Predictions(np.array(["1", "2"]), np.array([0, 1]), shares))
    folder.weights_path.write_bytes(f"weights of {arm}".encode())
    loss = -float(np.log([0.8, 0.2]).mean())
    folder.write_outcome(Outcome(status="finished", epochs=3, test=measures(loss=loss)))
    return folder


def test_what_a_dead_writer_left_is_swept(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    path, number = tmp_path / "a.json", files_module._machine_number()
    left = [tmp_path / f".a.json.{number}-{int(died.stdout)}.partial"]
    stays = [
        tmp_path / f".a.json.{number}-{os.getppid()}.partial",  # at work
        tmp_path / f".a.json.00000000-{int(died.stdout)}.partial",  # of another machine
        tmp_path / f".b.json.{number}-{int(died.stdout)}.partial",  # of another file
    ]
    for one in (*left, *stays):
        one.touch()
    files_module.atomic_write(path, b"x")
    assert {*tmp_path.iterdir()} == {path, *stays}


def test_the_seal_is_the_sha_256_of_what_is_before() -> None:
    head, _, end = SEALED.rpartition(b',\n "sha256": "')
    assert end == hashlib.sha256(head).hexdigest().encode() + b'"\n}\n'
    assert unseal(SEALED, PATH, "remedy") == (head + b"\n}", True)
    assert unseal(b'{"a": 1}', PATH, "remedy") == (b'{"a": 1}', False)  # made before


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_every_bit_of_a_sealed_file_counts(tmp_path: Path, place: int) -> None:
    path = tmp_path / "value.json"
    write_model(path, Value(number=0.25))
    content = path.read_bytes()
    assert read_optional(path, Value) == Value(number=0.25)
    place %= len(content)
    for bit in range(8):
        turned = bytes([content[place] ^ (1 << bit)])
        path.write_bytes(content[:place] + turned + content[place + 1 :])
        with pytest.raises(StorageError, match=r"delete value.json$"):
            read_optional(path, Value)
    path.write_bytes(content[:place])
    with pytest.raises(StorageError, match=r"delete value.json$"):
        read_optional(path, Value)


def test_a_checkpoint_is_what_was_written() -> None:
    content = b"".join(seal_checkpoint(b"state"))
    assert unseal_checkpoint(content, PATH) == b"state"
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        for found in (damaged, content[:place]):
            with pytest.raises(StorageError, match="its checksum differs"):
                unseal_checkpoint(found, PATH)


NAMES = ("spec.json", "environment.json", "epochs.jsonl", "predictions.npz", "outcome.json")


@pytest.mark.parametrize("name", [*NAMES, "weights.safetensors"])
def test_a_file_of_another_run_or_with_one_other_bit_is_refused(tmp_path: Path, name: str) -> None:
    folder, other = finished(tmp_path), finished(tmp_path, "gn")
    path = folder.path / name

    def read() -> None:
        folder.read()
        folder.read_predictions()
        folder.check_file("weights.safetensors")

    read()
    content = path.read_bytes()
    path.write_bytes((other.path / name).read_bytes())
    if path.read_bytes() != content:  # the predictions and rows of both are the same
        with pytest.raises(StorageError, match=r"delete the run's folder to train it again"):
            read()
    for place in range(0, len(content), max(1, len(content) // 20)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(StorageError, match=r"delete the run's folder to train it again"):
            read()
    if name != "outcome.json":  # without it the run has not ended
        path.unlink()
        with pytest.raises(StorageError, match="is missing"):
            read()


def test_what_was_added_after_the_end_is_named(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    assert not (folder.path / "layers.jsonl").exists()
    (folder.path / "layers.jsonl").write_text("")
    with pytest.raises(StorageError, match=r"layers.jsonl was not there .*; remove it"):
        folder.read_layer_diagnostics()


def test_records_of_before_are_read_and_not_vouched_for(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    (record,) = read_runs(tmp_path)
    assert record.vouched
    outcome = folder.read_outcome()
    (folder.path / "outcome.json").write_text(outcome.model_dump_json(indent=1) + "\n")
    (record,) = read_runs(tmp_path)
    assert not record.vouched
    assert record.outcome == outcome
    assert folder.read_predictions() is not None
    worse = outcome.test.model_copy(update={"accuracy": 1.0})
    changed = outcome.model_copy(update={"test": worse}).model_dump_json(indent=1)
    (folder.path / "outcome.json").write_text(changed)
    with pytest.raises(StorageError, match=r"its accuracy is 0\.500000, the outcome's 1\.0"):
        folder.read_predictions()


def test_rows_of_a_run_that_goes_on_are_those_of_its_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(spec(), {})
    folder.keep_rows(0)
    folder.append_row(row(1))
    folder.append_row(row(2))
    noted = folder.row_checksums()
    folder.append_row(row(3))  # and died before its checkpoint
    assert RunFolder(folder.path).keep_rows(2, noted) == (row(1), row(2))
    path = folder.path / "epochs.jsonl"
    path.write_text(path.read_text().replace('"loss":0.5', '"loss":0.4', 1))
    with pytest.raises(StorageError, match="was changed since the checkpoint"):
        RunFolder(folder.path).keep_rows(2, noted)
    path.write_text(row(1).model_dump_json() + "\n")
    with pytest.raises(StorageError, match="has 1 epochs and the checkpoint is of epoch 2"):
        RunFolder(folder.path).keep_rows(2, noted)


@pytest.mark.parametrize(
    "changes",
    [{"accuracy": 2}, {"accuracy": -0.1}, {"accuracy": float("nan")}, {"macro_f1": 1.01},
     {"loss": -5}, {"images": 0}, {"images": float("nan")}],
    ids=str,
)  # fmt: skip
def test_impossible_figures_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        measures(**changes)
    assert measures(accuracy=1 + 1e-7).accuracy > 1  # a mean of float32 shares


def test_impossible_outcomes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="epoch 4 is reported of 3 that were finished"):
        Outcome(status="finished", epochs=3, reported_epoch=4)
    with pytest.raises(ValidationError):
        Outcome(status="finished", epochs=-1)
    folder = finished(tmp_path)
    folder.append_row(row(4))
    folder.write_outcome(Outcome(status="finished", epochs=4))
    with pytest.raises(StorageError, match="holds 4 epochs of a run of 3"):
        folder.read()


def test_a_file_is_read_whole_and_only_a_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    for size in (0, 1, 3 * 2**20):
        path.write_bytes(b"x" * size)
        assert files_module.read_bytes(path) == files_module.read_bytes(str(path)) == b"x" * size
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, most: read(descriptor, min(most, 1000)))
    assert files_module.read_bytes(path) == b"x" * 3 * 2**20  # as a system that gives pieces
    monkeypatch.undo()
    assert files_module.read_bytes(tmp_path / "none") is None
    with pytest.raises(StorageError, match="cannot be read: Is a directory"):
        files_module.read_bytes(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="named pipe"):
        files_module.read_bytes(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as open_socket:
        monkeypatch.chdir(tmp_path)  # the name of a socket is short
        open_socket.bind("socket")
        with pytest.raises(DataError, match="a socket"):
            files_module.read_bytes(Path("socket"))
    free = lowest_descriptor()
    for _ in range(3):
        with pytest.raises(DataError):
            files_module.read_bytes(tmp_path / "pipe")
    assert lowest_descriptor() == free


def test_specs_that_differ_in_the_block_share_the_rest(tmp_path) -> None:
    specs = [spec().in_block(block) for block in (0, 3, 12)]
    found = []
    for own in specs:
        folder = RunFolder(tmp_path / own.folder_name)
        folder.create(own, {})
        found.append(folder.read_spec())
    assert found == specs
    assert [one.id for one in found] == [one.id for one in specs]
    assert found[0].data is found[2].data
    assert found[0].model_dump_json() == specs[0].model_dump_json()


@pytest.mark.parametrize(
    ("line", "changed", "words"),
    [
        ('"block": 0', '"block": 123456789', "block: Input should be less"),
        ('"block": 0', '"block": 9999999', "block: Input should be less"),
        ('"block": 0', '"block": -1', "block: Input should be greater"),
        ('"block": 0', '"block": 01', "Invalid JSON"),
        ('"block": 0', '"seed": 0', "block: Field required"),
        ('"batch_size": 32', '"batch_size": 0', "batch_size: Input should be"),
        ('"block": 0', '"block": 0,\n "other": 1', "other: Extra inputs"),
        ('"block": 0', '"block": 1', "that of the run"),
        ('"block": 0', '"block": 0,\n "block": 1', "that of the run"),
    ],
)
def test_a_spec_that_is_none_is_named(tmp_path, line, changed, words) -> None:
    folder = RunFolder(tmp_path / spec().folder_name)
    folder.create(spec(), {})
    path = folder.path / "spec.json"
    content = path.read_text(encoding="utf-8")
    assert f"\n {line},\n" in content
    path.write_text(content.replace(line, changed), encoding="utf-8")
    with pytest.raises(StorageError, match=words) as raised:
        folder.read_spec()
    assert str(path) in str(raised.value)


def lowest_descriptor() -> int:
    """The number that the next file gets: one that was left open moves it."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor
