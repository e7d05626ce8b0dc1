"""What `predict` takes from a folder, and what it says of the rest."""

from __future__ import annotations

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
