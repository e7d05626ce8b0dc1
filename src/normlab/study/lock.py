"""One process at a time runs a study; the lock is the operating system's and dies with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from normlab.errors import PlanError, StorageError

try:
    import fcntl
except ImportError:  # Windows: no advisory locks of this kind, so two runners are not detected
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold the study while the block runs.

    Raises:
        PlanError: another process holds it.
        StorageError: the folder cannot be written.
    """
    try:
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise StorageError(f"cannot write to the study {folder}: {error.strerror}") from None
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PlanError(
                    f"another process is running {folder}; wait for it, or stop it first"
                ) from None
        yield
