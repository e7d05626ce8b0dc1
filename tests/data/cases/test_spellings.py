"""One class under several spellings: in Unicode forms, in case, in letters that look alike."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import pytest

from normlab.data.layout import items_by_layout
from normlab.data.sources import open_source
from normlab.data.tables import items_of_table

COMPOSED, TAKEN_APART = (unicodedata.normalize(form, "Ærfugl é") for form in ("NFC", "NFD"))


def test_two_unicode_forms_are_one_class() -> None:
    names = [f"train/{COMPOSED}/1.png", "train/b/1.png", f"val/{TAKEN_APART}/1.png", "val/b/1.png"]
    found = items_by_layout(names, "p")
    assert {item.label for item in found.items} == {COMPOSED, "b"}
    assert found.notes[0].text == f"one class in two Unicode forms was read as one: {COMPOSED}"


def test_one_form_alone_stays_as_it_is() -> None:
    """A study of such a folder has it in its fingerprint."""
    found = items_by_layout([f"{TAKEN_APART}/1.png", "b/1.png"], "p")
    assert [item.label for item in found.items] == [TAKEN_APART, "b"] or not found.notes
    assert TAKEN_APART in {item.label for item in found.items}
    assert not found.notes


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Cat", "cat"),
        ("golden retriever", "Golden_Retriever"),
        ("cat", "c\u0430t"),  # a Cyrillic а
        ("cat", "cat "),
        ("St. Bernard", "St Bernard"),
    ],
)
def test_spellings_that_look_alike_are_said_and_kept_apart(one: str, two: str) -> None:
    found = items_by_layout([f"{one}/1.png", f"{two}/1.png", "dog/1.png"], "p")
    assert {item.label for item in found.items} == {one, two, "dog"}
    (note,) = found.notes
    assert repr(one) in note.text
    assert repr(two) in note.text
    assert note.remedy == "If they are one class, give them one name"


@pytest.mark.parametrize("labels", [("1.5", "15"), ("a", "b"), ("cat", "cats"), ("-", "_")])
def test_names_that_are_different(labels: tuple[str, ...]) -> None:
    assert not items_by_layout([f"{label}/1.png" for label in labels], "p").notes


def garbled(path: Path, names: list[bytes]) -> Path:
    """A zip whose names are stored in these bytes, without saying in which encoding."""
    stand_ins = [f"{number:03d}{'x' * (len(name) - 3)}" for number, name in enumerate(names)]
    with zipfile.ZipFile(path, "w") as archive:
        for stand_in in stand_ins:
            archive.writestr(stand_in, f"content of {stand_in[:3]}")
    content = path.read_bytes()
    for stand_in, name in zip(stand_ins, names, strict=True):
        content = content.replace(stand_in.encode(), name)
    path.write_bytes(content)
    return path


def test_a_zip_that_does_not_say_it_is_utf8(tmp_path: Path) -> None:
    names = [f"{label}/{n}.png" for label in ("мухоловка", "Ærfugl") for n in (1, 2)]
    source = open_source(str(garbled(tmp_path / "z.zip", [name.encode() for name in names])))
    assert [item.name for item in source.items()] == sorted(names)
    assert source.read(names[1]) == b"content of 001"
    assert not source.notes


def test_a_zip_in_an_old_encoding(tmp_path: Path) -> None:
    names = [f"{label}/{n}.png".encode("cp1251") for label in ("мухоловка", "утка") for n in (1, 2)]
    (note,) = open_source(str(garbled(tmp_path / "z.zip", names))).notes
    assert note.text.startswith("classes in z.zip have names in an old encoding")
    assert note.remedy == "If they are wrong, pack it again with names in UTF-8"


def test_a_zip_with_paths_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("cat", "dog"):
            archive.writestr(rf"C:\photos\{label}\1.png", label)
    source = open_source(str(path))
    assert [item.name for item in source.items()] == ["photos/cat/1.png", "photos/dog/1.png"]
    assert source.read("photos/dog/1.png") == b"dog"


def test_tables_too() -> None:
    table = f"path,label\n1.png,{COMPOSED}\n2.png,{TAKEN_APART}\n".encode()
    assert len({item.label for item in items_of_table(table, "t.csv")}) == 2  # merged by the source
