"""The files in a zip, read in place; for a zip as a source, and for paths that lead into one."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from normlab.data.sources.base import refuse_size
from normlab.errors import DataError
from normlab.inputs import PARSER_FAULTS, reading

_UTF8_FLAG = 0x800
"""Set in a member's flags where its name is UTF-8; without it the name is of no known encoding."""
_UNICODE_PATH = 0x7075
"""The extra field that holds a member's name in UTF-8 (Info-ZIP)."""


class Members:
    """Its one open file is shared: `ZipFile` locks it for every read of a thread."""

    def __init__(self, path: Path) -> None:
        """List the members; refuse names that leave the archive."""
        location = str(path)
        with reading(f"{path} is not a readable zip", "pack it again"):
            self._archive = zipfile.ZipFile(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.garbled: set[str] = set()
        """Names in an old encoding that could not be told."""
        for info in self._archive.infolist():
            if not info.is_dir() and not info.filename.endswith("\\"):
                name, sure = _decoded(info)
                name = member_name(_with_slashes(name), location)
                self._members[name] = info
                if not sure:
                    self.garbled.add(name)

    def __iter__(self) -> Iterator[str]:
        """The names of the members, in the order of the archive."""
        return iter(self._members)

    def read(self, name: str) -> bytes:
        """The member's bytes; OSError where they cannot be read."""
        try:
            info = self._members[name]
            refuse_size(info.file_size)
            return self._archive.read(info)
        except OSError:
            raise
        except PARSER_FAULTS as error:
            raise OSError(f"cannot be read from the zip: {error}") from error

    def peek(self, name: str) -> bytes:
        """How the member begins; OSError where it cannot be read."""
        try:
            with self._archive.open(self._members[name]) as file:
                return file.read(16)
        except OSError:
            raise
        except PARSER_FAULTS as error:
            raise OSError(f"cannot be read from the zip: {error}") from error

    def stamp(self, name: str) -> tuple[int, ...]:
        """Size and checksum; zeros where it is missing."""
        info = self._members.get(name)
        return (info.file_size, info.CRC) if info else (0, 0)


def _decoded(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """A member's name, and whether its encoding is known.

    Many programs write UTF-8 without saying so, which Python takes for cp437.
    """
    name = info.filename
    if info.flag_bits & _UTF8_FLAG or name.isascii():
        return name, True
    try:
        stored = name.encode("cp437")
    except UnicodeEncodeError:
        return name, True
    told = _unicode_path(info.extra, stored)
    try:
        return told or stored.decode("utf-8"), True
    except UnicodeDecodeError:
        return name, False


def _unicode_path(extra: bytes, stored: bytes) -> str:
    """The name in the extra field of Info-ZIP, where it belongs to the stored one; else ""."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(field) > 5:
            if int.from_bytes(field[1:5], "little") != zlib.crc32(stored):
                return ""
            return field[5:].decode("utf-8", errors="ignore")
    return ""


def _with_slashes(name: str) -> str:
    r"""A path of Windows with / between folders and without its drive.

    >>> _with_slashes("C:\\photos\\cat\\1.png"), _with_slashes("cat/a\\b.png")
    ('photos/cat/1.png', 'cat/a\\b.png')
    """
    if "\\" not in name or "/" in name or name.startswith("\\"):
        return name
    plain = name.replace("\\", "/")
    return plain[3:] if plain[1:3] == ":/" else plain


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
