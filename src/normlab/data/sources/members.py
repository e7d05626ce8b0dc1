"""The files in a zip, read in place; for a zip as a source, and for paths that lead into one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from normlab.data.sources.base import refuse_size
from normlab.errors import DataError


class Members:
    """Its one open file is shared: `ZipFile` locks it for every read of a thread."""

    def __init__(self, path: Path) -> None:
        """List the members; refuse names that leave the archive."""
        location = str(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path} is not a readable zip ({error}); pack it again") from None
        self._members = {
            member_name(info.filename, location): info
            for info in self._archive.infolist()
            if not info.is_dir()
        }

    def __iter__(self) -> Iterator[str]:
        """The names of the members, in the order of the archive."""
        return iter(self._members)

    def read(self, name: str) -> bytes:
        """The member's bytes; OSError where they cannot be read."""
        try:
            info = self._members[name]
            refuse_size(info.file_size)
            return self._archive.read(info)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise OSError(f"cannot be read from the zip: {error}") from error

    def stamp(self, name: str) -> tuple[int, ...]:
        """Size and checksum; zeros where it is missing."""
        info = self._members.get(name)
        return (info.file_size, info.CRC) if info else (0, 0)


def member_name(name: str, location: str) -> str:
    """A member's name without ./ and //.

    Raises:
        DataError: it leaves the archive.
    """
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in parts:
        raise DataError(f"{location} has a member {name!r} outside of it; pack it again")
    if "" in parts or "." in parts:
        return "/".join(part for part in parts if part not in ("", "."))
    return name


def archive_of(path: Path) -> tuple[Path, str] | None:
    """The zip that a path leads into, and the member's name; None for an ordinary path."""
    text = path.as_posix()
    end = text.lower().find(".zip/")
    if end < 0:
        return None
    archive = Path(text[: end + 4])
    return (archive, text[end + 5 :]) if archive.is_file() else None
