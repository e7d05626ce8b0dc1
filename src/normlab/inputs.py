"""What may be read: files. A pipe may never end, a device has no end, a socket is nobody's data."""

from __future__ import annotations

import stat
from pathlib import Path

from normlab.errors import DataError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def kind_of_no_file(path: Path) -> str | None:
    """What stands at a path, links followed, where it is neither a file nor a folder; else None.

    What is missing, or may not be seen, is None too: who opens it says so.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)


def check_input(path: Path) -> Path:
    """The path itself, unless opening it could wait for ever.

    Raises:
        DataError: it is a pipe, a device or a socket.
    """
    kind = kind_of_no_file(path)
    if kind is not None:
        raise DataError(f"{path} is {kind}, and only files are read; save what it holds as a file")
    return path
