"""Where images come from: a folder, a table, a zip of either, or the digits of scikit-learn.

A source lists its images in the order of their names and hands out the bytes of each. Which class
an image has follows from the layout of the names, the same rule in a folder and in a zip:

    <class>/…/image            or            train|val[|test]/<class>/…/image

with any common top folders left away.
"""

from __future__ import annotations

import csv
import io
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from normlab.errors import DataError
from normlab.records.schema import content_hash

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jp2", "png", "gif", "webp", "avif"),
        *("bmp", "tif", "tiff", "ppm", "pgm", "pbm"),
    )
)
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image")
LABEL_COLUMNS = ("label", "class", "class_name", "target", "category", "species")
PART_COLUMNS = ("part", "split", "set")
MEMBER_LIMIT = 512 * 2**20
"""Bytes; a larger member of a zip is not an image but an accident or an attack."""


@dataclass(frozen=True, order=True)
class Item:
    """One image: its name in the source, its class, and its part ("" where there are none)."""

    name: str
    label: str
    part: str = ""


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
    if location == "demo:digits":
        return DigitsSource()
    path = Path(location)
    if not path.exists():
        raise DataError(f"there is no {location}; give a folder, a CSV/TSV table or a zip")
    if path.is_dir():
        return FolderSource(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        return TableSource(path)
    if zipfile.is_zipfile(path):
        return ZipSource(path)
    raise DataError(f"{location} is neither a folder, a .csv/.tsv table nor a zip")


class FolderSource(Source):
    """Images in folders; symbolic links are followed once."""

    def __init__(self, root: Path) -> None:
        """List the images below the folder."""
        self.root = root
        self.location = str(root)
        self._items = items_by_layout(_files_below(root), self.location)

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return (self.root / name).read_bytes()

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, modification time and file number of each file; zeros where it is missing."""
        return (_stamp(self.root / item.name) for item in self._items)


class TableSource(Source):
    """A CSV or TSV with a path and a label column; paths are relative to the table."""

    def __init__(self, path: Path) -> None:
        """Read the table."""
        self.root = path.parent
        self.location = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text; save the table as UTF-8") from None
        self._items = items_of_table(text, self.location)

    def items(self) -> Sequence[Item]:
        """The rows, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The bytes of the file that the row names."""
        return (self.root / name).read_bytes()

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, modification time and file number of each file; zeros where it is missing."""
        return (_stamp(self.root / item.name) for item in self._items)


class ZipSource(Source):
    """A zip of folders, or of a table with the images that it names; read in place."""

    def __init__(self, path: Path) -> None:
        """List the members; refuse names that leave the archive."""
        self.location = str(path)
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
        self._items = self._table_items() or items_by_layout(self._members, self.location)

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The member's bytes."""
        try:
            info = self._members[name]
            if info.file_size > MEMBER_LIMIT:
                raise OSError(f"{info.file_size} bytes is no image")
            return self._archive.read(info)
        except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise OSError(f"cannot be read from the zip: {error}") from error

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size and checksum of each member."""
        for item in self._items:
            info = self._members.get(item.name)
            yield (info.file_size, info.CRC) if info else (0, 0)

    def _table_items(self) -> Sequence[Item]:
        tables = [name for name in self._members if name.lower().endswith((".csv", ".tsv"))]
        for name in sorted(tables, key=lambda name: (name.count("/"), name)):
            if _is_hidden(PurePosixPath(name)):
                continue
            try:
                text = self.read(name).decode("utf-8-sig", errors="replace")
            except OSError as error:
                raise DataError(f"{self.location}: {name} {error}; pack it again") from None
            if _table_columns(text) is not None:
                return items_of_table(text, f"{self.location}/{name}", PurePosixPath(name).parent)
        return ()


class DigitsSource(Source):
    """1,797 handwritten digits of 8×8 pixels (UCI, Alpaydin & Kaynak 1998), by scikit-learn."""

    location = "demo:digits"

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


def items_by_layout(names: Iterable[str], location: str) -> list[Item]:
    """Items from names like <class>/image or train/<class>/image.

    Raises:
        DataError: no image, or images without a folder that names their class.
    """
    paths = sorted(filter(_is_image, map(PurePosixPath, names)))
    if not paths:
        raise DataError(f"{location} holds no images; give a folder with one folder per class")
    for path in paths:
        if not str(path).isprintable() and any("\ud800" <= sign <= "\udfff" for sign in str(path)):
            raise DataError(f"{location}: the name {str(path)!r} is not UTF-8; rename the file")
    depth = _common_depth(paths)
    items = []
    for path in paths:
        folders = path.parts[depth:-1]
        part = PARTS.get(folders[0].lower(), "") if len(folders) > 1 else ""
        label = folders[1 if part else 0 : 2 if part else 1]
        if label:
            items.append(Item(str(path), label[0], part))
    if not items:
        raise DataError(
            f"the images in {location} are not in folders; make one folder per class, or a table"
        )
    tops = {path.parts[depth].lower() for path in paths if len(path.parts) > depth + 1}
    if tops <= PARTS.keys() and any(item.part for item in items):
        items = [item for item in items if item.part]  # train/stray.png has no class
    elif any(item.part for item in items):  # a class that is named "test" among other classes
        items = [Item(str(p), p.parts[depth]) for p in paths if len(p.parts) > depth + 1]
    return items


def items_of_table(text: str, location: str, folder: PurePosixPath | None = None) -> list[Item]:
    """Items from a CSV/TSV text with a header.

    Raises:
        DataError: columns or values are missing, or a path has two labels.
    """
    columns = _table_columns(text)
    if columns is None:
        raise DataError(
            f"{location} needs a path column ({', '.join(PATH_COLUMNS)}) and a label column "
            f"({', '.join(LABEL_COLUMNS)}); name them in its first line"
        )
    path_column, label_column, part_column = columns
    found: dict[str, Item] = {}
    for number, row in _rows(text, location):
        name, label = (row.get(path_column) or "").strip(), (row.get(label_column) or "").strip()
        if not name or not label:
            raise DataError(f"{location} line {number} lacks a path or a label; complete it")
        if folder is not None:
            name = str(folder / name)
        part = (row.get(part_column) or "").strip().lower() if part_column else ""
        if part and part not in PARTS:
            raise DataError(f"{location} line {number}: unknown part {part!r}; train, val or test")
        item = Item(name, label, PARTS.get(part, ""))
        if found.setdefault(name, item) != item:
            raise DataError(f"{location} gives {name} two labels; keep one line for it")
    if not found:
        raise DataError(f"{location} lists no images; add a line for each")
    return sorted(found.values())


def _table_columns(text: str) -> tuple[str, str, str | None] | None:
    try:
        header = next(csv.reader(_lines(text), delimiter=_delimiter(text)), [])
    except csv.Error:
        return None
    by_name = {name.strip().lower(): name for name in header}
    path = next((by_name[name] for name in PATH_COLUMNS if name in by_name), None)
    label = next((by_name[name] for name in LABEL_COLUMNS if name in by_name), None)
    part = next((by_name[name] for name in PART_COLUMNS if name in by_name), None)
    return (path, label, part) if path and label else None


def _rows(text: str, location: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each row's line, and its values by column."""
    reader = csv.DictReader(_lines(text), delimiter=_delimiter(text))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{location} line {reader.line_num}: {error}; is a quotation mark left open?"
        ) from None


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline=None)  # a line may end as on any system


def _delimiter(text: str) -> str:
    first = _lines(text).readline()
    return max("\t;,", key=first.count) if any(c in first for c in "\t;,") else ","


def _files_below(root: Path) -> Iterable[str]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        identity = os.path.realpath(folder)
        if identity in seen:  # a symbolic link back up
            folders.clear()
            continue
        seen.add(identity)
        folders.sort()  # of two links to one folder the first is followed, whatever the listing
        relative = Path(folder).relative_to(root)
        yield from ((relative / name).as_posix() for name in files)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino


def _is_image(path: PurePosixPath) -> bool:
    return path.suffix.lower() in EXTENSIONS and not _is_hidden(path)


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _common_depth(paths: Sequence[PurePosixPath]) -> int:
    """How many leading folders all images share and that name neither a part nor the class."""
    depth = 0
    while all(len(path.parts) > depth + 2 for path in paths):
        names = {path.parts[depth] for path in paths}
        if len(names) > 1 or next(iter(names)).lower() in PARTS:
            break
        depth += 1
    return depth
