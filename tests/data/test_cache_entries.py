"""What lies in the cache is listed, and what nobody is making is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from normlab.data.cache import entry_lock, entry_unused, lock_path
from normlab.data.cache_entries import CacheEntry, cache_entries, remove_entry
from normlab.data.dataset import load_data
from normlab.data.sources import open_source


def kinds(cache: Path, kernels: Path | None = None) -> list[str]:
    return sorted(entry.kind for entry in cache_entries(cache, kernels))


def only(cache: Path, kind: str) -> CacheEntry:
    (entry,) = (entry for entry in cache_entries(cache) if entry.kind == kind)
    return entry


def test_an_empty_cache(cache: Path) -> None:
    assert cache_entries(cache, cache / "kernels") == []


def test_what_is_listed(photos: Path, tmp_path: Path, cache: Path) -> None:
    load_data(str(photos), 8)
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as archive:
        archive.add(photos, ".")
    load_data(str(tmp_path / "t.tar.gz"), 8)
    kernels = tmp_path / "kernels"
    (kernels / "torch-1").mkdir(parents=True)
    (kernels / "torch-1" / "planes.so").write_bytes(b"x" * 10_000)
    (cache / "downloads" / "hf" / "me--pets").mkdir(parents=True)
    assert kinds(cache, kernels) == ["download", "images", "kernel", "scan", "scan", "unpacked"]
    images = only(cache, "images")
    assert (images.images, images.size, images.source) == (16, 8, str(photos))
    assert 16 * 8 * 8 * 3 < images.bytes < 2**20
    assert only(cache, "unpacked").source == str(tmp_path / "t.tar.gz")


def test_opening_is_a_use(photos: Path, cache: Path) -> None:
    load_data(str(photos), 8)
    for entry in cache_entries(cache):
        note = entry.path / "checks.json" if entry.kind == "images" else entry.path
        os.utime(note, (1, 1))
    assert [entry.last_used for entry in cache_entries(cache)] == [1, 1]
    load_data(str(photos), 8)
    assert all(entry.last_used > 10**9 for entry in cache_entries(cache))


def test_everything_can_be_removed_and_is_made_again(photos: Path, cache: Path) -> None:
    expected = np.array(load_data(str(photos), 8).images)
    assert [remove_entry(entry) for entry in cache_entries(cache)] == [True, True]
    assert cache_entries(cache) == []
    assert not list(cache.rglob("*.lock"))
    np.testing.assert_array_equal(load_data(str(photos), 8).images, expected)


def test_images_that_are_open_stay_readable(photos: Path, cache: Path) -> None:
    data = load_data(str(photos), 8)
    assert remove_entry(only(cache, "images"))
    assert int(data.images[3].sum()) == data.pixel_sums[3].sum()


def test_an_unpacked_tar_that_is_open_stays_readable(photos: Path, tmp_path: Path, cache) -> None:
    """Else cleaning would make its images unreadable for a preparation that is at work."""
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as archive:
        archive.add(photos, ".")
    source = open_source(str(tmp_path / "t.tar.gz"))
    assert remove_entry(only(cache, "unpacked"))
    assert not list(cache.glob("unpacked/*"))
    assert source.read("cats/3.png") == (photos / "cats" / "3.png").read_bytes()


def test_downloads_and_what_is_left_of_them(cache: Path) -> None:
    folder = cache / "downloads" / "hf"
    for name in ("me--v1.5", "me--half.partial"):
        (folder / name).mkdir(parents=True)
    for name in ("me--v1.5", "me--half", "me--gone"):
        (folder / f"{name}.lock").touch()
    assert kinds(cache) == ["download", "leftover", "leftover"]
    with entry_lock(folder / "me--v1.5"):
        results = [remove_entry(entry) for entry in cache_entries(cache)]
    assert sorted(results) == [False, True, True]
    assert sorted(path.name for path in folder.iterdir()) == ["me--v1.5", "me--v1.5.lock"]


def test_what_a_process_makes_is_left_alone(photos: Path, cache: Path) -> None:
    load_data(str(photos), 8)
    entry = only(cache, "images")
    with entry_lock(entry.path):
        assert not remove_entry(entry)
    assert entry.path.exists()
    assert remove_entry(entry)


def test_what_died_processes_have_left(cache: Path) -> None:
    died = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    (cache / "images" / "abc.partial").mkdir(parents=True)
    (cache / "images" / "abc.lock").touch()
    (cache / "unpacked").mkdir()
    (cache / "unpacked" / "def.lock").touch()
    (cache / "scans").mkdir()
    (cache / "scans" / f".a.npz.{int(died.stdout)}.partial").touch()
    (cache / "scans" / f".b.npz.{os.getpid()}.partial").touch()
    assert kinds(cache) == ["leftover"] * 4  # the lock of abc goes with its half entry
    results = {entry.path.name[:3]: remove_entry(entry) for entry in cache_entries(cache)}
    assert results == {"abc": True, "def": True, ".a.": True, ".b.": False}
    assert [path.name[:3] for path in cache.rglob("*") if path.is_file()] == [".b."]
    assert kinds(cache) == ["leftover"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"bytes": 5}'])
def test_notes_that_say_nothing(photos: Path, cache: Path, content: str) -> None:
    load_data(str(photos), 8)
    (only(cache, "images").path / "checks.json").write_text(content)
    entry = only(cache, "images")
    assert (entry.images, entry.size, entry.source) == (None, None, "")


def test_a_lock_that_is_cleaned_away_while_somebody_waits_for_it(tmp_path: Path) -> None:
    """The waiting process must not hold a file that no third process will ever see."""
    entry = tmp_path / "entry"
    held = threading.Event()
    done = threading.Event()

    def waits() -> None:
        with entry_lock(entry):
            held.set()
            done.wait()

    lock_path(entry).touch()
    with entry_unused(entry) as unused:
        assert unused
        thread = threading.Thread(target=waits)
        thread.start()
        assert not held.wait(0.2)
    assert held.wait(5)
    with entry_unused(entry) as unused:
        assert not unused
    done.set()
    thread.join()
