"""Files that are not read are counted and named by class, a class that goes missing by it first."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.check.run import quick_findings
from normlab.data.dataset import load_data
from normlab.data.decode import decode
from normlab.data.layout import endings, is_image
from normlab.data.sources import open_source
from normlab.errors import DataError


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endings, "find_spec", lambda name: None)
    endings.reads_heif.cache_clear()
    yield
    endings.reads_heif.cache_clear()


def notes(location: Path) -> list[str]:
    return [note.text for note in open_source(str(location)).notes]


@pytest.mark.parametrize("ending", ["jfif", "jpe", "pjpeg", "PJP", "JFIF"])
def test_jpegs_of_any_ending_are_read(photos: Path, picture, ending: str) -> None:
    for number in range(4):
        picture(photos / "birds" / f"{number}.{ending}", number, format="JPEG")
    manifest = load_data(str(photos), 8).manifest
    assert manifest.counts() == {"birds": 4, "cats": 8, "dogs": 8}
    assert not manifest.notes


def test_a_class_that_would_vanish_is_said_first(photos: Path, without_heif: None) -> None:
    (photos / "elks").mkdir()
    for number in range(4):
        (photos / "elks" / f"IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (photos / "cats" / "list.txt").write_text("")
    (photos / "cats" / "scan.dcm").write_text("")
    dataset = load_data(str(photos), 8)
    assert [note.text for note in dataset.manifest.notes] == [
        "class 'elks' is missing: 4 files with the ending .heic were not read (elks 4)",
        "2 files with the endings .dcm, .txt were not read (cats 2)",
    ]
    first = next(found for found in quick_findings(dataset) if found.code == "DC009")
    assert first.message.startswith("Class 'elks' is missing: 4 files")
    assert first.remedy == 'To read HEIC install pip install "normlab[heic]".'


def test_images_by_content_under_another_ending(photos: Path, picture) -> None:
    for number in range(3):
        picture(photos / "elks" / f"{number}.bak", number, format="JPEG")
        picture(photos / "owls" / f"{number}", number, format="PNG")
    (one,) = open_source(str(photos)).notes
    assert one.text == (
        "classes 'elks', 'owls' are missing: 6 files with the endings (none), .bak were not read "
        "(elks 3, owls 3)"
    )
    assert "some are JPEG by content: give them the ending .jpg" in one.remedy


def test_one_class_left_says_which_was_lost(tmp_path: Path, picture, without_heif: None) -> None:
    for number in range(4):
        picture(tmp_path / "a" / f"{number}.png", number)
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{number}.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"class 'b' is missing: 4 files with the ending .heic we"):
        open_source(str(tmp_path))


def test_a_folder_of_nothing_else(tmp_path: Path, without_heif: None) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.heic").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"holds no images; .* 1 file with the ending .heic was not"
    ):
        open_source(str(tmp_path))


def test_files_beside_the_classes_are_not_worth_a_word(photos: Path) -> None:
    (photos / "README.md").write_text("about")
    (photos / "docs").mkdir()
    (photos / "docs" / "notes.txt").write_text("about")
    (photos / "cats" / "Thumbs.db").write_text("of the system")
    assert notes(photos) == []


def test_a_class_whose_files_cannot_be_read(photos: Path) -> None:
    (photos / "elks").mkdir()
    for number in range(3):
        (photos / "elks" / f"{number}.png").write_bytes(b"not an image")
    (photos / "cats" / "x.png").write_bytes(b"")
    (said,) = load_data(str(photos), 8).manifest.notes
    assert said.text == (
        "class 'elks' is missing: none of its 3 files could be read (the first, elks/0.png: is not "
        "an image)"
    )


def test_heic_without_the_extra(without_heif: None) -> None:
    assert not is_image("a/1.heic")
    with pytest.raises(DataError, match=r'is HEIC; to read it install pip install "normlab.heic."'):
        decode(b"\0\0\0\x18ftypheic", 8, "squash")


def test_heic_with_the_extra(photos: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    endings.reads_heif.cache_clear()
    (photos / "elks").mkdir()
    for number in range(3):
        pixels = np.full((16, 16, 3), 60 * number, np.uint8)
        buffer = io.BytesIO()
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(buffer)
        (photos / "elks" / f"{number}.HEIC").write_bytes(buffer.getvalue())
    dataset = load_data(str(photos), 8)
    assert dataset.manifest.counts() == {"cats": 8, "dogs": 8, "elks": 3}
    own = dataset.images[[str(name).startswith("elks") for name in dataset.manifest.names]]
    assert np.abs(own.astype(int) - 60 * np.arange(3)[:, None, None, None]).max() < 4
    assert "pillow_heif" in sys.modules
