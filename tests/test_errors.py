"""What helps against a refusal to write, and what is suggested for an unknown name."""

from __future__ import annotations

import errno
import os

import pytest

from normlab.errors import StorageError, UnknownNameError, write_remedy
from normlab.records.store import atomic_write
from normlab.study.check import check_writable


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space or set X"),
        (errno.EPERM, "choose a folder that you may write to"),
        (errno.EROFS, "can only be read: set X"),
        (errno.EIO, "free some space or set X"),
    ],
)
def test_every_refusal_has_its_remedy(number: int, remedy: str) -> None:
    """A write that was not permitted was told to free some space."""
    said = write_remedy(OSError(number, os.strerror(number)), "set X")
    assert remedy in said
    assert ("space" in said) == (number in (errno.ENOSPC, errno.EIO))


def test_a_file_in_the_path(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"a part of the path is a file|a file in its place"):
        atomic_write(tmp_path / "file" / "x", b"")


def test_a_folder_is_tried_and_left_as_it_was(tmp_path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="another folder with --out"):
        check_writable(tmp_path / "file" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_near_names_are_suggested() -> None:
    assert "mean" not in str(UnknownNameError("augmentation", "heavy", ["none", "erase"]))
    assert "did you mean 'standard'?" in str(UnknownNameError("x", "st", ["none", "standard"]))
