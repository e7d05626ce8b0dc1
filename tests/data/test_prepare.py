"""Preparation: whole or not at all, continued after a death, shared by processes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from normlab.data import prepare as module
from normlab.data import read_images
from normlab.data.dataset import load_data
from normlab.data.decode import decode
from normlab.errors import DataError, StorageError


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
    assert not list(cache.rglob("*.partial"))
    assert len(load_data(str(photos), 8).images) == 16


def test_a_disk_that_fills_while_the_gaps_are_closed(
    photos: Path, cache: Path, monkeypatch
) -> None:
    (photos / "cats" / "bad.png").write_text("text")
    reserve, calls = os.posix_fallocate, []

    def full_later(*arguments: int) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        reserve(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full_later)
        with pytest.raises(StorageError, match="free some space or set NORMLAB_CACHE"):
            load_data(str(photos), 8)
    assert not list(cache.glob("images/*/images.u8"))
    decoded = counted_decodes(monkeypatch)
    assert len(load_data(str(photos), 8).images) == 16
    assert decoded == []


def test_a_system_without_reservation(photos: Path, monkeypatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    assert load_data(str(photos), 8).images.shape == (16, 8, 8, 3)


LOADER = textwrap.dedent(
    """
    import sys, time
    from normlab.data import dataset, prepare, read_images
    prepare.CHUNK = 2
    decode = read_images.decode
    def slow(*arguments):
        time.sleep(float(sys.argv[2]))
        return decode(*arguments)
    read_images.decode = slow
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
    decoded = counted_decodes(monkeypatch)
    monkeypatch.setattr(module, "CHUNK", 2)
    data = load_data(str(photos), 8)
    assert len(decoded) <= 10  # of 16
    finished = [(photos / name).read_bytes() for name in data.manifest.names[:6]]
    assert not set(finished) & set(decoded)
    for index, name in enumerate(data.manifest.names):
        expected = decode((photos / name).read_bytes(), 8, "squash")[0]
        np.testing.assert_array_equal(data.images[index], expected)


def counted_decodes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents that are decoded, as they are."""
    contents: list[bytes] = []

    def counting(content: bytes, *arguments: object) -> object:
        contents.append(content)
        return decode(content, *arguments)

    monkeypatch.setattr(read_images, "decode", counting)
    return contents


@pytest.mark.parametrize("broken", [False, True], ids=["all readable", "one unreadable"])
@pytest.mark.parametrize(
    "moment", ["first chunk", "last chunk", "compacting", "manifest", "checks"]
)
def test_cut_at_any_moment_and_continued(
    photos: Path, cache: Path, monkeypatch, moment: str, broken: bool
) -> None:
    """Whatever was on disk when it died, the next call ends with the same entry."""
    if broken:
        (photos / "cats" / "bad.png").write_text("text")
    expected = load_data(str(photos), 8, cache=cache.with_name("undisturbed"))
    monkeypatch.setattr(module, "CHUNK", 4)

    def dies(name: str, when: Callable[..., bool]) -> None:
        original = getattr(module, name)

        def dying(*arguments: object, **options: object) -> object:
            if when(*arguments):
                raise KeyboardInterrupt
            return original(*arguments, **options)

        patch.setattr(module, name, dying)

    with monkeypatch.context() as patch:
        match moment:
            case "first chunk":
                dies("_save", lambda path, _: path.name.startswith("chunk-000000000"))
            case "last chunk":
                dies("_save", lambda path, _: path.name.startswith("chunk-000000012"))
            case "compacting":
                dies("shard_checksums", lambda _: True)
            case "manifest":
                dies("_save", lambda path, _: path.name == "manifest.npz")
            case "checks":
                dies("atomic_write", lambda path, _: path.name == "checks.json")
        with pytest.raises(KeyboardInterrupt):
            load_data(str(photos), 8)
    assert not list(cache.glob("images/*/checks.json"))
    data = load_data(str(photos), 8)
    np.testing.assert_array_equal(data.images, expected.images)
    np.testing.assert_array_equal(data.pixel_sums, expected.pixel_sums)
    assert data.manifest.fingerprint == expected.manifest.fingerprint
    assert data.manifest.unreadable == expected.manifest.unreadable
    (entry,) = (path.parent for path in cache.glob("images/*/images.u8"))
    assert sorted(path.name for path in entry.iterdir()) == [
        "checks.json",
        "images.u8",
        "manifest.npz",
    ]
    assert not list(cache.glob("images/*.partial"))


@pytest.mark.slow
def test_two_processes_at_once(photos: Path, cache: Path) -> None:
    processes = [loader(photos, 0.02) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("decoding 16" in output for output in outputs) == 1  # the other one waited
    assert len(list(cache.glob("images/*/images.u8"))) == 1


@pytest.mark.parametrize("harm", ["cut", "empty", "other chunks", "other facts"])
def test_a_note_that_cannot_be_used_is_made_again(photos: Path, monkeypatch, harm: str) -> None:
    """A chunk that was noted by another version, or damaged since, does not stop a continuation."""
    expected = np.array(load_data(str(photos), 8, cache=photos.with_name("undisturbed")).images)
    monkeypatch.setattr(module, "CHUNK", 4)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_finish", cut)
        with pytest.raises(KeyboardInterrupt):
            load_data(str(photos), 8)
    (note,) = Path(os.environ["NORMLAB_CACHE"]).glob("images/*.partial/chunk-000000004.npz")
    match harm:
        case "cut":
            note.write_bytes(note.read_bytes()[:50])
        case "empty":
            note.write_bytes(b"")
        case "other chunks":
            monkeypatch.setattr(module, "CHUNK", 8)
        case "other facts":
            np.savez(note, widths=np.zeros(4))
    decoded = counted_decodes(monkeypatch)
    np.testing.assert_array_equal(load_data(str(photos), 8).images, expected)
    assert len(decoded) == (16 if harm == "other chunks" else 4)


def cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_refused_data_leave_nothing_behind(tmp_path: Path, cache: Path, picture) -> None:
    for number in range(4):
        picture(tmp_path / "p" / "cats" / f"{number}.png", number)
        (tmp_path / "p" / "dogs").mkdir(exist_ok=True)
        (tmp_path / "p" / "dogs" / f"{number}.png").write_text("text")
    with pytest.raises(DataError, match="has one class"):
        load_data(str(tmp_path / "p"), 8)
    assert not list(cache.glob("images/*.partial"))
    assert not list(cache.rglob("*.u8"))


@pytest.mark.parametrize("in_the_way", ["images", "scans"])
def test_a_cache_with_a_file_where_a_folder_should_be(
    photos: Path, cache: Path, in_the_way: str
) -> None:
    cache.mkdir()
    (cache / in_the_way).write_text("")
    with pytest.raises(StorageError, match=r"cannot .*; there is a file in its place"):
        load_data(str(photos), 8)


@pytest.mark.parametrize("name", ["flock", "flush", "replace"])
def test_whatever_the_disk_refuses_is_one_sentence(
    photos: Path, cache: Path, monkeypatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    rename = Path.replace

    def refuse_the_pixels(self: Path, target: Path) -> Path:
        return refuse() if self.name == "decoded.u8" else rename(self, target)

    with monkeypatch.context() as patch:
        match name:
            case "flock":
                patch.setattr(fcntl, "flock", refuse)
            case "flush":
                patch.setattr(np.memmap, "flush", refuse)
            case "replace":
                patch.setattr(Path, "replace", refuse_the_pixels)
        with pytest.raises(StorageError, match=r"Input/output error; free some space or"):
            load_data(str(photos), 8)
    assert not list(cache.glob("images/*/checks.json"))
    assert len(load_data(str(photos), 8).images) == 16
