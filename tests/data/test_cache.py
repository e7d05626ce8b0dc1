"""Where the cache lies, and that one process at a time makes an entry."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from normlab.data.cache import DAMAGED, cache_folder, entry_lock, read_arrays
from normlab.data.dataset import load_data
from normlab.errors import StorageError


def test_the_chosen_folder_is_made(cache: Path) -> None:
    assert not cache.exists()
    assert cache_folder() == cache
    assert cache.is_dir()


def test_without_a_choice_it_is_the_users_cache_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("NORMLAB_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "user" / name))
    assert cache_folder() == tmp_path / "user" / "normlab"


SENTENCE = "the cache .* cannot be written; set NORMLAB_CACHE to a folder that can"


def test_a_cache_below_a_file(photos: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NORMLAB_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(StorageError, match=SENTENCE):
        load_data(str(photos), 8)


def test_a_cache_by_argument(photos: Path, tmp_path: Path, cache: Path) -> None:
    load_data(str(photos), 8, cache=tmp_path / "mine")
    assert list((tmp_path / "mine").glob("images/*/images.u8"))
    assert not cache.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=SENTENCE):
        load_data(str(photos), 8, cache=tmp_path / "file" / "below")


def test_a_cache_without_permission(photos: Path, cache: Path, monkeypatch) -> None:
    """`os.access` is asked, for to the root user of a test machine nothing is forbidden."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match=SENTENCE):
        load_data(str(photos), 8)
    assert list(cache.iterdir()) == []


def test_a_held_entry_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with entry_lock(tmp_path / "entry"):
            order.append("second")

    with entry_lock(tmp_path / "entry"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04cut"])
def test_damage_is_one_family_of_errors(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DAMAGED):
        read_arrays(path)
    np.savez(path, a=np.arange(3))
    np.testing.assert_array_equal(read_arrays(path)["a"], [0, 1, 2])
