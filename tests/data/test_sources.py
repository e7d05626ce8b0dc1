"""Folders, tables and zips: the same rule for the class, and one sentence for what cannot be."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.sources import Item, open_source
from normlab.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def items(location: Path) -> list[Item]:
    return list(open_source(str(location)).items())


def test_a_folder_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.jpg", "b/1.JPG", "a/x/deep.png", "notes.txt", ".git/z.png", "b/.h.png")
    touch(tmp_path, "__MACOSX/a/1.png", "b/Thumbs.db")
    assert items(tmp_path) == [
        Item("a/x/deep.png", "a"),
        Item("b/1.JPG", "b"),
        Item("b/2.jpg", "b"),
    ]
    assert open_source(str(tmp_path)).read("b/1.JPG") == b"b/1.JPG"


@pytest.mark.parametrize("wrapped", ["", "birds/", "data/birds/"])
@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_parts_and_wrapping_folders(tmp_path: Path, wrapped: str, val: str) -> None:
    names = [f"{wrapped}train/a/1.png", f"{wrapped}{val}/b/1.png", f"{wrapped}test/a/2.png"]
    touch(tmp_path, *names)
    expected = [Item(names[0], "a", "train"), Item(names[1], "b", "val")]
    assert items(tmp_path) == sorted([*expected, Item(names[2], "a", "test")])


def test_a_class_that_is_named_like_a_part(tmp_path: Path) -> None:
    touch(tmp_path, "test/x/1.png", "exam/x/1.png")
    assert [item.label for item in items(tmp_path)] == ["exam", "test"]


def test_the_order_of_the_listing_has_no_part(tmp_path: Path, monkeypatch) -> None:
    """Peers: "class order from unsorted listdir"."""
    touch(tmp_path, *(f"{label}/{n}.png" for label in "cab" for n in range(5)))
    expected = items(tmp_path)
    walk = os.walk

    def shuffled(*arguments, **options):
        for folder, folders, files in walk(*arguments, **options):
            folders.reverse()
            yield folder, folders, files[::-1]

    monkeypatch.setattr(os, "walk", shuffled)
    assert items(tmp_path) == expected


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(items(tmp_path)) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_a_table(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [("File", "Label", "Split"), ("ä b/1.png", "7", "train"), ("2.png", "8", "test")]
    table = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
    table.write_text("\n".join(separator.join(row) for row in rows), encoding=encoding)
    touch(tmp_path, "2.png", "ä b/1.png")
    assert items(table) == [Item("2.png", "8", "test"), Item("ä b/1.png", "7", "train")]
    assert open_source(str(table)).read("ä b/1.png") == "ä b/1.png".encode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,name\na.png,x\n", "needs a path column"),
        ("path,label\na.png,\n", "line 2 lacks a path or a label"),
        ("path,label\na.png,x\na.png,y\n", "gives a.png two labels"),
        ("path,label,split\na.png,x,dev\n", "line 2: unknown part 'dev'"),
        ("path,label\n", "lists no images"),
        ("", "needs a path column"),
    ],
)
def test_tables_that_cannot_be(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_source(str(tmp_path / "t.csv"))


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_of_folders_with_a_table_that_is_no_list_of_labels(tmp_path: Path) -> None:
    members = {"birds/train/a/1.jpg": b"1", "birds/val/a/2.jpg": b"2"}
    path = pack(tmp_path / "z.zip", {**members, "birds/manifest.csv": b"file,source_group\n"})
    source = open_source(str(path))
    assert [item.part for item in source.items()] == ["train", "val"]
    assert source.read("birds/val/a/2.jpg") == b"2"


def test_a_zip_of_a_table(tmp_path: Path) -> None:
    members = {"d/t.csv": b"path,label\nx/1.jpg,a\nx/2.jpg,b\n", "d/x/1.jpg": b"1"}
    source = open_source(str(pack(tmp_path / "z.zip", members)))
    assert list(source.items()) == [Item("d/x/1.jpg", "a"), Item("d/x/2.jpg", "b")]
    assert source.read("d/x/1.jpg") == b"1"
    with pytest.raises(OSError, match="cannot be read from the zip"):
        source.read("d/x/2.jpg")


@pytest.mark.parametrize("name", ["../a/1.png", "/a/1.png", "a/../../b/1.png"])
def test_a_zip_that_leaves_itself(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside of it"):
        open_source(str(pack(tmp_path / "z.zip", {name: b"", "a/1.png": b""})))


def test_what_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 half")
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "loose", "1.png", "2.png")
    cases = {
        "missing": "there is no .*missing; give a folder",
        "text": "is neither a folder",
        "broken.zip": "is neither a folder",
        "empty": "holds no images; give a folder with one folder per class",
        "loose": "are not in folders",
    }
    for name, sentence in cases.items():
        with pytest.raises(DataError, match=sentence):
            open_source(str(tmp_path / name))


def test_the_signature_notices_a_change_without_reading(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    before = open_source(str(tmp_path)).signature
    assert open_source(str(tmp_path)).signature == before
    os.utime(tmp_path / "a/1.png", ns=(1, 1))
    assert open_source(str(tmp_path)).signature != before


def test_the_digits() -> None:
    import io

    from sklearn.datasets import load_digits

    source = open_source("demo:digits")
    assert len(source.items()) == 1797
    assert len({item.label for item in source.items()}) == 10
    picture = np.asarray(Image.open(io.BytesIO(source.read("0003.png"))))
    np.testing.assert_array_equal(picture, np.round(load_digits().images[3] * 255 / 16))
