"""Preparation: once, whole, by content, continued after a death, shared by processes."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from normlab.data import read_images as module
from normlab.data.dataset import load_data, typical_size
from normlab.data.decode import decode
from normlab.errors import DataError, UnknownNameError


def test_what_is_prepared(photos: Path) -> None:
    data = load_data(str(photos), 8)
    manifest = data.manifest
    assert manifest.classes == ("cats", "dogs")
    assert manifest.counts() == {"cats": 8, "dogs": 8}
    assert data.images.shape == (16, 8, 8, 3)
    for index in (0, 9):
        expected = decode((photos / manifest.names[index]).read_bytes(), 8, "squash")[0]
        np.testing.assert_array_equal(data.images[index], expected)
    pixels = np.asarray(data.images, np.int64)
    np.testing.assert_array_equal(data.pixel_sums, pixels.sum((1, 2)))
    np.testing.assert_array_equal(data.pixel_squares, (pixels**2).sum((1, 2)))
    assert set(zip(manifest.widths, manifest.heights, strict=True)) == {(12, 10)}
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0


def test_a_geometry_that_cannot_be(photos: Path, cache: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown resize policy 'squish'; did you mean 'squ"):
        load_data(str(photos), 8, "squish")
    with pytest.raises(DataError, match="at least 1 pixel a side, got 0"):
        load_data(str(photos), 0)
    assert not cache.exists()


def test_the_second_time_nothing_is_decoded(photos: Path, monkeypatch) -> None:
    first = load_data(str(photos), 8)

    def never(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(module, "decode", never)
    again = load_data(str(photos), 8)
    np.testing.assert_array_equal(first.images, again.images)
    moved = photos.with_name("moved")
    shutil.copytree(photos, moved)
    assert load_data(str(moved), 8).manifest.fingerprint == first.manifest.fingerprint
    with pytest.raises(AssertionError, match="decoded again"):
        load_data(str(photos), 16)


def test_a_changed_picture_changes_the_fingerprint(photos: Path, picture) -> None:
    before = load_data(str(photos), 8).manifest.fingerprint
    picture(photos / "cats" / "3.png", 999)
    assert load_data(str(photos), 8).manifest.fingerprint != before


def test_unreadable_files_are_left_out_with_their_reason(photos: Path) -> None:
    (photos / "cats" / "text.jpg").write_text("no picture")
    (photos / "dogs" / "aa.png").write_bytes(b"")
    (photos / "dogs" / "folder.jpg").mkdir()
    data = load_data(str(photos), 8)
    assert data.manifest.unreadable == (
        ("cats/text.jpg", "is not an image"),
        ("dogs/aa.png", "is empty"),
    )
    assert len(data.manifest) == len(data.images) == 16
    last = decode((photos / "dogs" / "7.png").read_bytes(), 8, "squash")[0]
    np.testing.assert_array_equal(data.images[-1], last)
    with pytest.raises(DataError, match=r"cats/text.jpg is not an image; repair or remove it"):
        load_data(str(photos), 8, strict=True)


def test_too_few_classes_or_images(tmp_path: Path, picture) -> None:
    for number in range(4):
        picture(tmp_path / "one" / "cats" / f"{number}.png", number)
    with pytest.raises(DataError, match=r"has one class \('cats'\); a comparison needs at least"):
        load_data(str(tmp_path / "one"), 8)
    picture(tmp_path / "one" / "dogs" / "1.png", 50)
    with pytest.raises(DataError, match=r"class 'dogs' .* has 1 image; it needs at least 3"):
        load_data(str(tmp_path / "one"), 8)
    for number in range(3):
        for name in "ab":
            path = tmp_path / "bad" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
    sentence = "none of 6 files is a readable image; the first, a/0.png: is not an image"
    with pytest.raises(DataError, match=sentence):
        load_data(str(tmp_path / "bad"), 8)


@pytest.mark.slow
def test_a_process_that_dies_just_before_its_entry_is_there_leaves_nothing(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def dies(path: Path, target: Path) -> Path:
        if path.name.startswith("new-"):
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        load_data(str(photos), 8)
    assert list(cache.glob("images/*.partial/checks.json"))
    monkeypatch.undo()
    monkeypatch.setenv("NORMLAB_CACHE", str(cache))
    load_data(str(photos), 8)
    assert not list(cache.glob("images/*.partial"))
    assert len(list(cache.glob("images/*/checks.json"))) == 1


@pytest.mark.parametrize(
    "harm",
    [
        "truncate",
        "longer",
        "flip",
        "manifest",
        "cut",
        "empty",
        "keys",
        "key",
        "missing",
        "list",
        "labels",
        "old",
    ],
)
def test_a_damaged_entry_is_made_again(photos: Path, cache: Path, harm: str) -> None:
    expected = np.array(load_data(str(photos), 8).images)
    (entry,) = (path.parent for path in cache.glob("images/*/images.u8"))
    content = bytearray((entry / "images.u8").read_bytes())
    match harm:
        case "truncate":
            (entry / "images.u8").write_bytes(content[:-5])
        case "flip":
            content[len(content) // 2] ^= 1
            (entry / "images.u8").write_bytes(content)
        case "manifest":
            (entry / "manifest.npz").write_bytes(b"half")
        case "cut":
            (entry / "manifest.npz").write_bytes((entry / "manifest.npz").read_bytes()[:-30])
        case "empty":
            (entry / "manifest.npz").write_bytes(b"")
        case "keys":
            np.savez(entry / "manifest.npz", something=np.zeros(16))
        case "key":
            with np.load(entry / "manifest.npz") as facts:
                kept = {name: facts[name] for name in facts if name != "widths"}
            np.savez(entry / "manifest.npz", **kept)
        case "labels":
            with np.load(entry / "manifest.npz") as facts:
                kept = dict(facts)
            kept["labels"] = kept["labels"][::-1]
            np.savez(entry / "manifest.npz", **kept)
        case "old":  # of a time without checksums
            (entry / "checks.json").write_text(json.dumps({"bytes": len(content), "sample": 0}))
        case "list":
            (entry / "checks.json").write_text("[]")
        case "longer":
            (entry / "images.u8").write_bytes(content + b"12345")
        case "missing":
            (entry / "checks.json").unlink()
    np.testing.assert_array_equal(load_data(str(photos), 8).images, expected)
    assert (entry / "images.u8").stat().st_size == expected.nbytes


def test_size_and_policy_have_entries_of_their_own(photos: Path, cache: Path) -> None:
    one = load_data(str(photos), 8, "squash")
    other = load_data(str(photos), 8, "crop")
    assert not np.array_equal(one.images, other.images)
    assert load_data(str(photos), 10).images.shape == (16, 10, 10, 3)
    assert len(list(cache.glob("images/*/images.u8"))) == 3
    np.testing.assert_array_equal(load_data(str(photos), 8, "squash").images, one.images)


def test_folder_zip_and_table_give_the_same_pixels(photos: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in names:
            archive.write(photos / name, name)
    rows = "\n".join(f"{name}\t{name.split('/')[0]}" for name in names)
    (photos / "t.tsv").write_text(f"path\tlabel\n{rows}\n")
    expected = load_data(str(photos), 8)
    for location in (tmp_path / "z.zip", photos / "t.tsv"):
        got = load_data(str(location), 8, cache=tmp_path / f"cache of {location.name}")
        np.testing.assert_array_equal(got.images, expected.images)
        assert got.manifest.fingerprint == expected.manifest.fingerprint
        assert got.manifest.location == str(location)


def large_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    )


def test_each_reason_in_one_clause_and_no_warning(photos: Path, tmp_path: Path, recwarn) -> None:
    """60,000 × 60,000 px is refused; 9,500 × 9,500, of which Pillow warns, is tried in silence."""
    whole = (photos / "cats" / "0.png").read_bytes()
    files = {
        "bomb": (large_png(60_000, 60_000), "its header promises more than 178956970 px"),
        "empty": (b"", "is empty"),
        "half": (whole[: len(whole) // 2], "cannot be decoded: "),
        "large": (large_png(9_500, 9_500), "cannot be decoded: "),
        "text": (b"text", "is not an image"),
    }
    for name, (content, _) in files.items():
        (photos / "cats" / f"x{name}.png").write_bytes(content)
    unreadable = load_data(str(photos), 8).manifest.unreadable
    assert [name for name, _ in unreadable] == [f"cats/x{name}.png" for name in files]
    for (_, reason), (_, expected) in zip(unreadable, files.values(), strict=True):
        assert reason.startswith(expected)
        assert "\n" not in reason
    assert not recwarn


def test_a_class_that_is_too_small_once_the_unreadable_are_gone(
    tmp_path: Path, cache: Path, picture
) -> None:
    for number in range(4):
        picture(tmp_path / "p" / "cats" / f"{number}.png", number)
        picture(tmp_path / "p" / "dogs" / f"{number}.png", 10 + number)
    for number in (1, 2):
        (tmp_path / "p" / "dogs" / f"{number}.png").write_text("text")
    with pytest.raises(DataError, match=r"class 'dogs' in .* has 2 images; it needs at least 3"):
        load_data(str(tmp_path / "p"), 8)
    assert not list(cache.glob("images/*.partial"))
    assert not list(cache.rglob("*.u8"))


def test_copies_are_counted(photos: Path) -> None:
    shutil.copy(photos / "cats" / "0.png", photos / "cats" / "copy.png")
    shutil.copy(photos / "cats" / "0.png", photos / "dogs" / "copy.png")
    manifest = load_data(str(photos), 8).manifest
    assert manifest.duplicates == 2
    of_duplicates = manifest.groups[np.isin(manifest.names, ["cats/0.png", "cats/copy.png"])]
    assert len(set(of_duplicates)) == 1


def test_typical_size(photos: Path) -> None:
    assert typical_size(str(photos)) == 10


@pytest.mark.slow
@pytest.mark.shared
def test_the_birds(shared_data: Path) -> None:
    data = load_data(str(shared_data / "birds25-128.zip"), 64)
    assert len(data.manifest) == 10_000
    assert len(data.manifest.classes) == 25
    assert data.manifest.duplicates == 0
    parts, counts = np.unique(data.manifest.parts, return_counts=True)
    assert dict(zip(parts, counts, strict=True)) == {"train": 8000, "val": 2000}
