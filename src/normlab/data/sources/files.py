"""Images that are files: below a folder, or where a table says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock

from normlab.data.layout import Item, Listing, is_hidden, merged
from normlab.data.sources.base import Source, refuse_size
from normlab.data.sources.members import Members, archive_of
from normlab.data.sources.without_folders import listing_of
from normlab.data.tables import Files, items_of_table
from normlab.errors import DataError


class FileSource(Source):
    """Images that are files below a root, as its folders or a table list them.

    A path may lead into a zip: photos.zip/train/cat/1.jpg.
    """

    def __init__(self, root: Path, location: str, listing: Listing) -> None:
        """Bind items, whose names are paths relative to the root."""
        self.root = root
        self.location = location
        self.skipped = listing.skipped
        self.notes = listing.notes
        self._items = listing.items
        self._archives: dict[Path, Members] = {}
        self._opening = Lock()

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        path = self.root / name
        if (inside := archive_of(path)) is not None:
            return self._archive(inside[0]).read(inside[1])
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait for ever
            raise OSError("is not a regular file")
        refuse_size(status.st_size)
        return path.read_bytes()

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, modification time and file number of each file; zeros where it is missing."""
        for item in self._items:
            inside = archive_of(self.root / item.name)
            if inside is None:
                yield file_stamp(self.root / item.name)
            else:
                yield self._archive(inside[0]).stamp(inside[1])

    def _archive(self, path: Path) -> Members:
        with self._opening:
            if path not in self._archives:
                self._archives[path] = Members(path)
            return self._archives[path]


def open_folder(path: Path) -> FileSource:
    """The images below a folder, by the folders that they lie in."""
    links: list[tuple[str, str]] = []
    names = list(_files_below(path, links))
    listing = listing_of(names, Reader(path), str(path), links=links)
    return FileSource(path, str(path), listing)


class Reader:
    """The bytes of files below a root, and how they begin."""

    def __init__(self, root: Path) -> None:
        """Bind the root."""
        self.root = root

    def read(self, name: str) -> bytes:
        """All bytes."""
        return (self.root / name).read_bytes()

    def peek(self, name: str) -> bytes:
        """How a regular file begins."""
        path = self.root / name
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(16)


def open_table(path: Path, *, labelled: bool = True) -> FileSource:
    """The images that a table lists, relative to its own folder; see `items_of_table`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    root = path.parent

    def exists(name: str) -> bool:
        inside = archive_of(root / name)
        return inside is not None or (root / name).is_file()

    files = Files(exists, lambda: _files_below(root, []))
    items, notes = merged(items_of_table(content, str(path), files=files, labelled=labelled))
    return FileSource(root, str(path), Listing(items, notes=tuple(notes)))


def file_stamp(path: Path) -> tuple[int, ...]:
    """Size, modification time and file number; zeros where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino


def _files_below(root: Path, links: list[tuple[str, str]]) -> Iterable[str]:
    """The files below a folder; each once, and `links` gets (first, second) name of a folder."""
    seen: dict[str, str] = {}
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        identity = os.path.realpath(folder)
        relative = Path(folder).relative_to(root).as_posix()
        if identity in seen:
            folders.clear()
            first = seen[identity]
            if first != "." and not f"{relative}/".startswith(f"{first}/"):  # no link back up
                links.append((first, relative))
            continue
        seen[identity] = relative
        # Of two links to one folder the first is followed, whatever the listing.
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from files if relative == "." else (f"{relative}/{name}" for name in files)


def _refuse_folder(error: OSError) -> None:
    """A folder that cannot be listed may be a class: it must not go missing in silence."""
    raise DataError(
        f"{error.filename} cannot be listed: {error.strerror}; check its permissions, or remove it"
    )
