"""The cache on this machine: a folder an entry, made beside and renamed, one maker at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from normlab.errors import StorageError, write_remedy
from normlab.inputs import PARSER_FAULTS

DAMAGED = PARSER_FAULTS
"""What reading a missing, cut or altered .npz or .json of the cache may raise."""


def cache_folder(chosen: Path | None = None) -> Path:
    """The chosen folder, or $NORMLAB_CACHE, or the user's cache folder.

    Raises:
        StorageError: it cannot be made or written.
    """
    named = os.environ.get("NORMLAB_CACHE") or platformdirs.user_cache_dir("normlab")
    folder = chosen or Path(named)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise StorageError(
            f"the cache {folder} cannot be written; set NORMLAB_CACHE to a folder that can"
        )
    return folder


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; raises DAMAGED."""
    # np.load leaves a file open that it opened itself and then found to be cut.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        return dict(content)


@contextlib.contextmanager
def entry_lock(entry: Path, *, passing: bool = False) -> Iterator[None]:
    """Hold an entry while it is made; another process waits and then finds it finished.

    `passing`: nothing of this name stays, nor does the lock; see `entry_unused` for who waits.

    Raises:
        StorageError: its folder cannot be written.
    """
    lock = FileLock(lock_path(entry))
    with storing(entry.parent):
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        if passing:
            with contextlib.suppress(OSError):
                lock_path(entry).unlink()
        lock.release()


@contextlib.contextmanager
def entry_unused(entry: Path) -> Iterator[bool]:
    """Hold an entry if nobody else does, and remove its lock in the end; False: somebody does."""
    path = lock_path(entry)
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
        # While it is held: whoever waits for this file then sees that it is gone, and makes a new
        # one. Windows does not remove an open file, and keeps it.
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        lock.release()


def lock_path(entry: Path) -> Path:
    """The file that stands for the right to make an entry."""
    return entry.with_name(f"{entry.name}.lock")


def note_use(path: Path) -> None:
    """Set the time of a file to now, for `normlab cache`; where that is forbidden it stays."""
    with contextlib.suppress(OSError):
        os.utime(path)


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses while something is stored in a folder into a StorageError."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"the cache cannot store in {folder}: {error.strerror or error}; "
            f"{write_remedy(error, 'set NORMLAB_CACHE to another folder')}"
        ) from error
