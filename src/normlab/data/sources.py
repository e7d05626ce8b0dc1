"""Where images come from: a folder, a table, a zip of either, or the digits of scikit-learn.

A source lists its images in the order of their names and hands out the bytes of each.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock

import numpy as np

from normlab.data.layout import EXTENSIONS as EXTENSIONS  # also read from here, with the sources
from normlab.data.layout import Item, is_hidden, items_by_layout
from normlab.data.tables import items_of_table, lists_images
from normlab.errors import DataError
from normlab.records.schema import content_hash

DEMO = "demo:digits"
FILE_LIMIT = 512 * 2**20
"""Bytes; a larger file is not an image but an accident or an attack. Uncompressed RGB at the
decoder's limit of pixels is as large."""


class Source(ABC):
    """A set of labelled images. `read` may be called from several threads."""

    location: str

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """All images, ordered by name, whatever order the storage lists them in."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The encoded bytes of an image; OSError where they cannot be read."""

    @abstractmethod
    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Per item what changes when its bytes do, without reading them: size, time, …"""

    @cached_property
    def signature(self) -> str:
        """A cheap identity: names, classes, sizes and times of change."""
        items = [[item.name, item.label, item.part] for item in self.items()]
        return content_hash([items, list(self.stamps())])


def open_source(location: str) -> Source:
    """The source at a path, or "demo:digits".

    Raises:
        DataError: there is nothing, or nothing that holds images by class.
    """
    if location == DEMO:
        return DigitsSource()
    if location.startswith("demo:"):
        raise DataError(f"there is no {location}; the data that come with normlab are {DEMO}")
    path = Path(location)
    if not path.exists():
        raise DataError(f"there is no {location}; give a folder, a CSV/TSV table or a zip")
    if path.is_dir():
        return FileSource(path, str(path), items_by_layout(_files_below(path), str(path)))
    if path.suffix.lower() in (".csv", ".tsv"):
        return FileSource(path.parent, str(path), items_of_table(_table(path), str(path)))
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return ZipSource(path)
    raise DataError(f"{location} is neither a folder, a .csv/.tsv table nor a zip")


class FileSource(Source):
    """Images that are files below a root, as its folders or a table list them.

    A path may lead into a zip: photos.zip/train/cat/1.jpg.
    """

    def __init__(self, root: Path, location: str, items: Sequence[Item]) -> None:
        """Bind items, whose names are paths relative to the root."""
        self.root = root
        self.location = location
        self._items = items
        self._archives: dict[Path, Members] = {}
        self._opening = Lock()

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def _archive(self, path: Path) -> Members:
        with self._opening:
            if path not in self._archives:
                self._archives[path] = Members(path)
            return self._archives[path]

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        path = self.root / name
        if (inside := _archive_of(path)) is not None:
            return self._archive(inside[0]).read(inside[1])
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait for ever
            raise OSError("is not a regular file")
        _refuse_size(status.st_size)
        return path.read_bytes()

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, modification time and file number of each file; zeros where it is missing."""
        for item in self._items:
            inside = _archive_of(self.root / item.name)
            if inside is None:
                yield _stamp(self.root / item.name)
            else:
                yield self._archive(inside[0]).stamp(inside[1])


class Members:
    """The files in a zip. Its one open file is shared: `ZipFile` locks it for every read."""

    def __init__(self, path: Path) -> None:
        """List the members; refuse names that leave the archive."""
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path} is not a readable zip ({error}); pack it again") from None
        self._members = {
            info.filename: info for info in self._archive.infolist() if not info.is_dir()
        }
        for name in self._members:
            if name.startswith(("/", "\\")) or ".." in PurePosixPath(name).parts:
                raise DataError(f"{path} has a member {name!r} outside of it; pack it again")

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._members)

    def read(self, name: str) -> bytes:
        """The member's bytes; OSError where it cannot be read."""
        try:
            info = self._members[name]
            _refuse_size(info.file_size)
            return self._archive.read(info)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise OSError(f"cannot be read from the zip: {error}") from error

    def stamp(self, name: str) -> tuple[int, ...]:
        """Size and checksum; zeros where it is missing."""
        info = self._members.get(name)
        return (info.file_size, info.CRC) if info else (0, 0)


class ZipSource(Source):
    """A zip of folders, or of a table with the images that it names; read in place."""

    def __init__(self, path: Path) -> None:
        """List the images."""
        self.location = str(path)
        self._members = Members(path)
        self._items = self._table_items() or items_by_layout(self._members, self.location)

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The member's bytes."""
        return self._members.read(name)

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size and checksum of each member."""
        return (self._members.stamp(item.name) for item in self._items)

    def _table_items(self) -> Sequence[Item]:
        tables = [name for name in self._members if name.lower().endswith((".csv", ".tsv"))]
        for name in sorted(tables, key=lambda name: (name.count("/"), name)):
            if is_hidden(PurePosixPath(name)):
                continue
            try:
                table = self.read(name)
            except OSError as error:
                raise DataError(f"{self.location}: {name} {error}; pack it again") from None
            if lists_images(table):
                return items_of_table(table, f"{self.location}/{name}", PurePosixPath(name).parent)
        return ()


class DigitsSource(Source):
    """1,797 handwritten digits of 8×8 pixels (UCI, Alpaydin & Kaynak 1998), by scikit-learn."""

    location = DEMO

    def __init__(self) -> None:
        """Load the package's copy; nothing is downloaded."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        self._pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        self._items = [
            Item(f"{number:04d}.png", str(label)) for number, label in enumerate(digits.target)
        ]

    def items(self) -> Sequence[Item]:
        """All digits in their order."""
        return self._items

    def read(self, name: str) -> bytes:
        """The digit as a grey PNG."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(self._pixels[int(name[:4])]).save(buffer, "PNG")
        return buffer.getvalue()

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """The sum of each digit's pixels stands for its bytes."""
        return ((64, int(pixels.sum())) for pixels in self._pixels)


def _files_below(root: Path) -> Iterable[str]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        identity = os.path.realpath(folder)
        if identity in seen:  # a symbolic link back up
            folders.clear()
            continue
        seen.add(identity)
        folders.sort()  # of two links to one folder the first is followed, whatever the listing
        relative = Path(folder).relative_to(root)
        yield from ((relative / name).as_posix() for name in files)


def _archive_of(path: Path) -> tuple[Path, str] | None:
    """The zip that a path leads into, and the member's name; None for an ordinary path."""
    text = path.as_posix()
    end = text.lower().find(".zip/")
    if end < 0:
        return None
    archive = Path(text[: end + 4])
    return (archive, text[end + 5 :]) if archive.is_file() else None


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino


def _table(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its permissions") from None


def _refuse_folder(error: OSError) -> None:
    """A folder that cannot be listed may be a class: it must not go missing in silence."""
    raise DataError(
        f"{error.filename} cannot be listed: {error.strerror}; check its permissions, or remove it"
    )


def _refuse_size(size: int) -> None:
    if size > FILE_LIMIT:
        raise OSError(f"is no image: {size / 2**20:,.0f} MiB")
