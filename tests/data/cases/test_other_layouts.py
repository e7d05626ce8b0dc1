"""Layouts of other tools: Hugging Face, Roboflow, COCO, YOLO, WebDataset; databases are named."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from normlab.data.layout import Item
from normlab.data.sources import open_source
from normlab.errors import DataError


def items(location: Path) -> list[Item]:
    return list(open_source(str(location)).items())


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


PARTS = [Item("test/2.png", "dog", "test"), Item("train/1.png", "cat", "train")]
LINES = '{"file_name": "%s", "label": "%s"}\n'
COCO = json.dumps(
    {
        "images": [{"id": 0, "file_name": "%s"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"image_id": 0, "category_id": -1}],
    }
)


@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("metadata.csv", "file_name,label\n1.png,cat\n", "file_name,label\n2.png,dog\n"),
        ("metadata.jsonl", LINES % ("1.png", "cat"), LINES % ("2.png", "dog")),
        ("_classes.csv", "filename, cat, dog\n1.png,1,0\n", "filename, cat, dog\n2.png,0,1\n"),
        (
            "_annotations.coco.json",
            COCO.replace("-1", "1") % "1.png",
            COCO.replace("-1", "2") % "2.png",
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_metadata_in_the_folders_of_the_parts(
    tmp_path: Path, name: str, train: str, test: str, packed: bool
) -> None:
    files = {f"train/{name}": train, f"test/{name}": test, "train/1.png": "", "test/2.png": ""}
    root = write(tmp_path / "set", files)
    if packed:
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            for file in files:
                archive.write(root / file, file)
        root = tmp_path / "set.zip"
    assert items(root) == PARTS


def test_metadata_of_all_parts(tmp_path: Path) -> None:
    table = "file_name,label\ntrain/1.png,cat\ntest/2.png,dog\n"
    files = {"metadata.csv": table, "train/1.png": "", "test/2.png": "", "test/3.png": ""}
    source = open_source(str(write(tmp_path, files)))
    assert [item.label for item in source.items()] == ["dog", "cat"]
    assert source.skipped == (("test/3.png", "is not in metadata.csv"),)


def test_all_images_in_one_folder_beside_a_table(tmp_path: Path) -> None:
    """The folder is no class: the metadata are read, and any other table is named."""
    files = {"images/1.png": "", "images/2.png": ""}
    root = write(tmp_path / "one", {**files, "labels.csv": "id,breed\n1,x\n2,y\n"})
    with pytest.raises(DataError, match=r"one folder, images, .* \(perhaps .*one/labels.csv\)"):
        items(root)
    expected = [Item("images/1.png", "x"), Item("images/2.png", "y")]
    assert items(root / "labels.csv") == expected
    table = "file_name,label\nimages/1.png,x\nimages/2.png,y\n"
    assert items(write(tmp_path / "two", {**files, "metadata.csv": table})) == expected


def test_folders_of_classes_come_first(tmp_path: Path) -> None:
    """As before: a table of captions beside them changes nothing."""
    table = "file_name,label\ncat/1.png,x\n"
    write(tmp_path, {"metadata.csv": table, "cat/1.png": "", "dog/1.png": ""})
    assert [item.label for item in items(tmp_path)] == ["cat", "dog"]


def test_the_classification_layout_of_yolo(tmp_path: Path) -> None:
    files = {f"set/{part}/{label}/1.png": "" for part in ("train", "val") for label in "ab"}
    assert {(i.label, i.part) for i in items(write(tmp_path, {**files, "set/data.yaml": ""}))} == {
        (label, part) for label in "ab" for part in ("train", "val")
    }


def add(archive: tarfile.TarFile, name: str, content: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content.encode()))


@pytest.mark.parametrize("beside", ["cls", "json"])
def test_a_webdataset(tmp_path: Path, beside: str) -> None:
    for part, label in (("train", "cat"), ("val", "dog")):
        with tarfile.open(tmp_path / f"{part}-000000.tar", "w") as archive:
            for number in range(2):
                content = label if beside == "cls" else json.dumps({"label": label})
                add(archive, f"{number:06d}.jpg", f"{label}{number}")
                add(archive, f"{number:06d}.{beside}", content)
    one = open_source(str(tmp_path / "val-000000.tar"))
    assert list(one.items()) == [Item(f"{n:06d}.jpg", "dog") for n in range(2)]
    assert one.read("000001.jpg") == b"dog1"
    source = open_source(str(tmp_path))
    assert [(i.label, i.part) for i in source.items()] == [("cat", "train")] * 2 + [
        ("dog", "val")
    ] * 2
    assert source.read("train-000000.tar/000001.jpg") == b"cat1"
    assert len(source.signature) == 64


def test_tars_without_classes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "1.jpg", "")
    with pytest.raises(
        DataError, match=r"have no classes beside their images \(key.cls or key.jso"
    ):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("set.lmdb", "is an LMDB database, .*; write its images into folders of classes"),
        ("set.h5", r"is an HDF5 file; save its arrays with np.savez\(path, images=…, labels=…\)"),
        ("set.tfrecord", "is a file of TensorFlow's records; write its images into folders"),
        ("set.rar", "is a RAR archive; unpack it and give the folder"),
        ("set.xlsx", r"is a workbook of Excel; save the table as CSV \(UTF-8\)"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=sentence):
        open_source(str(tmp_path / name))


def test_a_folder_that_is_a_database(tmp_path: Path) -> None:
    write(tmp_path, {"data.mdb": "x", "lock.mdb": ""})
    with pytest.raises(
        DataError, match="is an LMDB database, which does not say how its images are"
    ):
        open_source(str(tmp_path))
