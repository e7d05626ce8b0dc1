"""The original batches of CIFAR: pixels and labels as published, and pickles that are not."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.dataset import load_data
from normlab.data.layout import Item
from normlab.data.sources import open_source
from normlab.data.sources.cifar import load_batch
from normlab.errors import DataError

NAMES = ["airplane", "automobile", "bird"]
RANDOM = np.random.default_rng(0)


def batch(count: int = 6) -> dict[bytes, object]:
    data = RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8)
    return {b"data": data, b"labels": [n % 3 for n in range(count)], b"filenames": []}


def write(path: Path, content: object, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    for number in range(1, 6):
        write(folder / f"data_batch_{number}", batch())
    write(folder / "test_batch", batch(4))
    write(folder / "batches.meta", {b"label_names": NAMES})
    return folder


@pytest.mark.parametrize("place", ["the folder", "its parent", "tar", "tar.gz"])
def test_cifar_10_wherever_it_lies(cifar10: Path, tmp_path: Path, place: str) -> None:
    location = {"the folder": cifar10, "its parent": tmp_path}.get(place, tmp_path / f"c.{place}")
    if "tar" in place:
        with tarfile.open(location, "w:gz" if "gz" in place else "w") as archive:
            archive.add(cifar10, cifar10.name)
    source = open_source(str(location))
    items = source.items()
    assert (items[0], items[-1]) == (
        Item("test/0", "airplane", "test"),
        Item("train/29", "bird", "train"),
    )
    assert len(items) == 34
    raw = pickle.loads((cifar10 / "data_batch_2").read_bytes())[b"data"][1]
    with Image.open(io.BytesIO(source.read("train/07"))) as picture:
        np.testing.assert_array_equal(picture, raw.reshape(3, 32, 32).transpose(1, 2, 0))
    assert load_data(str(location), 32).images.shape == (34, 32, 32, 3)


def test_cifar_100(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    for name in ("train", "test"):
        content = batch()
        content[b"fine_labels"] = content.pop(b"labels")
        write(folder / name, content | {b"coarse_labels": [0] * 6})
    write(folder / "meta", {b"fine_label_names": NAMES, b"coarse_label_names": ["x"]})
    source = open_source(str(folder))
    assert [item.label for item in source.items()[:3]] == NAMES
    assert {item.part for item in source.items()} == {"train", "test"}


class Wants:
    """A pickle of it calls a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


EVIL = {
    "system": Wants(os.system, "touch EVIL"),
    "eval": Wants(eval, "open('EVIL', 'w')"),
    "process": Wants(subprocess.Popen, [sys.executable]),
    "import": Wants(__import__, "os"),
    "numpy": Wants(np.load, "x"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("case", EVIL)
def test_a_pickle_that_wants_to_run_code(
    cifar10: Path, case: str, protocol: int, monkeypatch
) -> None:
    monkeypatch.chdir(cifar10)
    evil = batch() | {b"labels": EVIL[case]}
    write(cifar10 / "data_batch_3", evil, protocol)
    with pytest.raises(
        DataError, match=r"data_batch_3 wants to run \w+\.\w+, as no batch of CIFAR"
    ):
        open_source(str(cifar10))
    assert not (cifar10 / "EVIL").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_any_protocol(protocol: int) -> None:
    content = batch()
    if protocol == 5:  # frombuffer, which no batch of CIFAR uses, is not let through
        with pytest.raises(DataError, match=r"wants to run numpy\._core\.numeric\._frombuffer"):
            load_batch(pickle.dumps(content, protocol=protocol), "x")
        return
    got = load_batch(pickle.dumps(content, protocol=protocol), "x")
    np.testing.assert_array_equal(got["data"], content[b"data"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        pickle.dumps([1]),
        pickle.dumps(batch(), protocol=2)[:-40],
        b"cnumpy\nndarray\n(I1000000000000\ntR.",  # an array of 10¹² numbers
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
    ],
)
def test_a_batch_that_is_none(cifar10: Path, content: bytes) -> None:
    (cifar10 / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=r"test_batch is no batch of CIFAR .*; download it from"):
        open_source(str(cifar10))


@pytest.mark.parametrize(
    "change",
    [
        {b"data": np.zeros((6, 3072))},
        {b"data": np.zeros((6, 100), np.uint8)},
        {b"labels": [0, 1]},
        {b"labels": ["a"] * 6},
        {b"data": None},
    ],
)
def test_a_batch_of_another_form(cifar10: Path, change: dict[bytes, object]) -> None:
    write(cifar10 / "data_batch_1", batch() | change)
    with pytest.raises(DataError, match="data_batch_1 has no n×3072 bytes with n labels; download"):
        open_source(str(cifar10))


def test_a_batch_that_is_missing(cifar10: Path) -> None:
    (cifar10 / "data_batch_4").unlink()
    with pytest.raises(DataError, match=r"data_batch_4 cannot be read \(No such file or directory"):
        open_source(str(cifar10))


def test_meta_without_names(cifar10: Path) -> None:
    write(cifar10 / "batches.meta", {b"num_vis": 3072})
    with pytest.raises(DataError, match=r"batches\.meta names no classes; download it from"):
        open_source(str(cifar10))
