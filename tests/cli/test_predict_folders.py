"""What `predict` takes from a folder, and what it says of the rest."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from normlab.cli.verbs.predict import images_below
from normlab.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_pictures_that_are_not_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "dark/1.jfif", "2.png", "dark/@eaDir/thumb.png", ".cache/3.png", "notes.txt")
    expected = [tmp_path / "2.png", tmp_path / "dark/1.jfif"]
    assert images_below(tmp_path) == expected
    assert capsys.readouterr().err == ""
    assert images_below(touch(tmp_path, "dark/raw.dng")) == expected
    assert capsys.readouterr().err == (
        "normlab: 1 file with the ending .dng was not read (in no class 1); convert them to PNG or "
        "JPEG\n"
    )


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images; give another"):
        images_below(touch(tmp_path, "notes.txt"))
    with pytest.raises(DataError, match=r"holds no images \(1 file with the ending .dng was not"):
        images_below(touch(tmp_path, "raw.dng"))


def test_labels_are_optional(normlab, study: Path, photos: Path) -> None:
    """In a table, in some lines of it, and in a zip; and no class needs three images."""
    names = sorted(f"{path.parent.name}/{path.name}" for path in photos.glob("*/*.png"))[:3]
    tables = {
        "paths.csv": ["path", *names],
        "some.csv": ["path,label", f"{names[0]},bright", f"{names[1]},", f"{names[2]},hat"],
    }
    for name, lines in tables.items():
        (photos / name).write_text("\n".join(lines) + "\n")
    with zipfile.ZipFile(photos / "flat.zip", "w") as archive:
        for name in names:
            archive.write(photos / name, name.replace("/", "-"))
    said = []
    for name in ("paths.csv", "some.csv", "flat.zip"):
        found = normlab("predict", study, photos / name)
        assert found.code == 0, found.err
        header, *rows = csv.reader(io.StringIO(found.out))
        assert header[:2] == ["path", "class"]
        said.append([row[1:] for row in rows])
        assert ("1 image with a label" in found.err) == (name == "some.csv"), found.err
    assert said[0] == said[1] == said[2]
    assert len(said[0]) == 3


def test_tables_of_no_images(normlab, study: Path, photos: Path) -> None:
    run = next((study / "runs").iterdir())
    table = photos / "table.csv"
    table.write_text("label\nbright\n")
    normlab("predict", run, table).assert_one_sentence("needs a path column", "first line")
    table.write_text("path,label\n,bright\n")
    normlab("predict", run, table).assert_one_sentence("line 2 lacks a path; complete it")
    table.write_text("path\nbright/gone.png\n")
    assert normlab("predict", run, table).code == 2
