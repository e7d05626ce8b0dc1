"""Preparation: once, whole, by content, continued after a death, shared by processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from normlab.data import dataset as module
from normlab.data.dataset import load_data, typical_size
from normlab.data.decode import decode
from normlab.errors import DataError, StorageError


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
    with pytest.raises(DataError, match="none of 6 files is a readable image"):
        load_data(str(tmp_path / "bad"), 8)


@pytest.mark.parametrize("harm", ["truncate", "flip", "manifest", "missing"])
def test_a_damaged_entry_is_made_again(photos: Path, cache: Path, harm: str) -> None:
    expected = np.array(load_data(str(photos), 8).images)
    (entry,) = (path.parent for path in cache.glob("images/*/images.u8"))
    content = bytearray((entry / "images.u8").read_bytes())
    match harm:
        case "truncate":
            (entry / "images.u8").write_bytes(content[:-5])
        case "flip":
            content[0] ^= 255
            (entry / "images.u8").write_bytes(content)
        case "manifest":
            (entry / "manifest.npz").write_bytes(b"half")
        case "missing":
            (entry / "checks.json").unlink()
    np.testing.assert_array_equal(load_data(str(photos), 8).images, expected)


def test_a_cache_that_cannot_be_written(photos: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match="cannot be written; set NORMLAB_CACHE"):
        load_data(str(photos), 8)


def test_a_full_disk_is_noticed_before_anything_is_written(
    photos: Path, cache: Path, monkeypatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StorageError, match=r"the cache needs .* No space left on device; free"):
            load_data(str(photos), 8)
    assert not list(cache.rglob("*.u8"))
    assert len(load_data(str(photos), 8).images) == 16


LOADER = textwrap.dedent(
    """
    import sys, time
    from normlab.data import dataset
    dataset.CHUNK = 2
    decode = dataset.decode
    def slow(*arguments):
        time.sleep(float(sys.argv[2]))
        return decode(*arguments)
    dataset.decode = slow
    print("ready", flush=True)
    dataset.load_data(sys.argv[1], 8, progress=lambda what, done, total: print(what, done))
    """
)


def loader(photos: Path, seconds: float) -> subprocess.Popen:
    arguments = [sys.executable, "-u", "-c", LOADER, str(photos), str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_killed_and_continued(photos: Path, cache: Path, monkeypatch) -> None:
    process = loader(photos, 0.1)
    for line in process.stdout:
        if line.startswith("decoding 6"):
            process.kill()
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not list(cache.glob("images/*/images.u8"))
    decoded = []
    monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(module, "decode", lambda *a: decoded.append(1) or decode(*a))
    data = load_data(str(photos), 8)
    assert len(decoded) <= 10  # of 16: the finished chunks were not decoded again
    for index, name in enumerate(data.manifest.names):
        expected = decode((photos / name).read_bytes(), 8, "squash")[0]
        np.testing.assert_array_equal(data.images[index], expected)


def test_two_processes_at_once(photos: Path, cache: Path) -> None:
    processes = [loader(photos, 0.02) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("decoding 16" in output for output in outputs) == 1  # the other one waited
    assert len(list(cache.glob("images/*/images.u8"))) == 1


def test_copies_are_counted(photos: Path) -> None:
    shutil.copy(photos / "cats" / "0.png", photos / "cats" / "copy.png")
    shutil.copy(photos / "cats" / "0.png", photos / "dogs" / "copy.png")
    manifest = load_data(str(photos), 8).manifest
    assert manifest.copies == 2
    of_copies = manifest.groups[np.isin(manifest.names, ["cats/0.png", "cats/copy.png"])]
    assert len(set(of_copies)) == 1


def test_typical_size(photos: Path) -> None:
    assert typical_size(str(photos)) == 10


@pytest.mark.shared
def test_the_birds(shared_data: Path) -> None:
    data = load_data(str(shared_data / "birds25-128.zip"), 32)
    assert len(data.manifest) == 10_000
    assert len(data.manifest.classes) == 25
    assert data.manifest.copies == 0
    parts, counts = np.unique(data.manifest.parts, return_counts=True)
    assert dict(zip(parts, counts, strict=True)) == {"train": 8000, "val": 2000}
