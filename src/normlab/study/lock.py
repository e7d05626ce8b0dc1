"""One process at a time runs a study; the lock is the operating system's and dies with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from normlab.errors import PlanError, StorageError

LOCK = ".lock"
"""The file's name in the study's folder."""


@contextlib.contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold the study while the block runs.

    Raises:
        PlanError: another process holds it.
        StorageError: the folder cannot be written.
    """
    if not folder.is_dir():
        raise StorageError(f"cannot write to the study {folder}: there is no such folder")
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise PlanError(
            f"another process is running {folder}; wait for it, or stop it first"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write to the study {folder}: {reason}") from None
    try:
        yield
    finally:
        lock.release()
