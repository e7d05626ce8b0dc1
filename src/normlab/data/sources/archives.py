"""Zips and tars, read in place: nothing of them is ever written under a name of theirs.

A plain tar is indexed in one pass over its headers, and every image is then read at its offset.
A compressed tar has no way to its middle, and images are read in another order than it holds them;
so it is decompressed once, in order, into a plain tar in the cache. Images hardly compress, so that
takes about the room of the archive again, until `normlab cache --clean`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import tarfile
import threading
import weakref
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from normlab.canonical import content_hash
from normlab.data.cache import DAMAGED, cache_folder, entry_lock, note_use, storing
from normlab.data.layout import Item, Listing, Note, is_hidden, merged
from normlab.data.sources.base import RATIO_LIMIT, Source, refuse_size, unpacked_limit
from normlab.data.sources.files import file_stamp
from normlab.data.sources.members import Members, member_name
from normlab.data.sources.without_folders import Reads, listing_by_keys, listing_of, metadata_among
from normlab.data.tables import Files, items_of_table, lists_images
from normlab.errors import DataError
from normlab.inputs import PARSER_FAULTS

Opener = Callable[[Path], Any]
PIECE = 2**22
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}
"""How a file begins → the module of Python that reads it; some builds lack the last two."""


class ZipSource(Source):
    """A zip of folders, or of a table with the images that it names; read in place."""

    def __init__(self, path: Path) -> None:
        """List the members; refuse names that leave the archive."""
        self.location = str(path)
        self._members = Members(path)
        listing = _listing_of(self._members, self._members, self.location)
        self._items, self.skipped, self.notes = listing
        garbled = {item.label for item in self._items if item.name in self._members.garbled}
        if shown := sorted(label for label in garbled if not label.isascii()):
            note = Note(
                f"classes in {path.name} have names in an old encoding, which may be shown "
                f"wrongly: {', '.join(shown[:3])}",
                "If they are wrong, pack it again with names in UTF-8",
                len(shown),
            )
            self.notes = (*self.notes, note)

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The member's bytes."""
        return self._members.read(name)

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size and checksum of each member."""
        return (self._members.stamp(item.name) for item in self._items)


class Tar:
    """The files of a tar by name, with their places: 16 bytes and the name for each."""

    def __init__(self, path: Path, location: str) -> None:
        """Index an uncompressed tar.

        Raises:
            DataError: it is cut short, or has a member that is neither a file nor a folder within.
        """
        self.location = location
        self.stamp = file_stamp(path)
        places: dict[str, tuple[int, int]] = {}
        try:
            with tarfile.open(path, "r:") as archive:
                while (member := archive.next()) is not None:
                    if archive.offset <= member.offset:  # a negative size leads back, for ever
                        raise tarfile.ReadError(f"a size of {member.size} bytes")
                    archive.members.clear()  # type: ignore[attr-defined]  # else it keeps some 2 KB of each
                    name = member_name(member.name, location)
                    if member.isdir():
                        continue
                    if not member.isreg() or member.issparse():
                        raise DataError(
                            f"{location} has a member {name!r} that is a {_kind(member)}; pack it "
                            "again from plain files (tar --dereference --hard-dereference)"
                        )
                    places[name] = (member.offset_data, member.size)
                _check_end(path, archive.offset)
        except DataError:
            raise
        except PARSER_FAULTS as error:
            raise DataError(_damaged(location, error)) from None
        # Held open: `normlab cache --clean` may take the name of an unpacked copy away.
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        self._turn = threading.Lock()
        self.names = sorted(places)
        self._offsets = array("q", (places[name][0] for name in self.names))
        self._sizes = array("q", (places[name][1] for name in self.names))

    def read(self, name: str) -> bytes:
        """A member's bytes, from its offset."""
        index = bisect_left(self.names, name)
        if index == len(self.names) or self.names[index] != name:
            raise OSError("is not in the tar")
        refuse_size(self._sizes[index])
        size, offset = self._sizes[index], self._offsets[index]
        if hasattr(os, "pread"):
            return os.pread(self._file, size, offset)
        with self._turn:  # Windows
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, size)

    def peek(self, name: str) -> bytes:
        """How a member begins."""
        return self.read(name)[:16]


class TarSource(Source):
    """A tar of folders, or of a table with the images that it names."""

    def __init__(self, tar: Tar) -> None:
        """List the images among the members."""
        self.location = tar.location
        self._tar = tar
        self._items, self.skipped, self.notes = _listing_of(tar.names, tar, tar.location)

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The member's bytes."""
        return self._tar.read(name)

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, time and file number of the tar."""
        return (self._tar.stamp,)


class ShardSource(Source):
    """A folder of plain tars, the shards of a WebDataset: train-000000.tar, val-000000.tar, …"""

    def __init__(self, path: Path, shards: Sequence[Tar]) -> None:
        """List the samples of all shards, by shard/name."""
        self.location = str(path)
        self._shards = {PurePosixPath(shard.location).name: shard for shard in shards}
        names = [f"{shard}/{name}" for shard, tar in self._shards.items() for name in tar.names]
        listing = listing_by_keys(names, self, self.location)
        if listing is None:
            raise DataError(
                f"the tars in {path} have no classes beside their images (key.cls or key.json); "
                "unpack them into folders of classes"
            )
        self._items, self.skipped, self.notes = listing

    def items(self) -> Sequence[Item]:
        """All images, ordered by name."""
        return self._items

    def read(self, name: str) -> bytes:
        """The member's bytes."""
        shard, _, member = name.partition("/")
        return self._shards[shard].read(member)

    def peek(self, name: str) -> bytes:
        """How a member begins."""
        return self.read(name)[:16]

    def stamps(self) -> Iterable[tuple[int, ...]]:
        """Size, time and file number of each tar."""
        return (shard.stamp for shard in self._shards.values())


def is_tar(path: Path) -> bool:
    """Whether it is a tar by its name, compressed or not."""
    name = path.name.lower()
    endings = (".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
    return name.endswith(endings)


def open_tar(path: Path, cache: Path | None) -> Tar:
    """The index of a tar; a compressed one is first decompressed into the cache.

    Raises:
        DataError: damaged, cut short, or a bomb.
        StorageError: the cache cannot hold it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    module = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if module is None:
        return Tar(path, str(path))
    try:
        opener = importlib.import_module(module).open
    except ImportError:
        raise DataError(
            f"{path} is compressed with {module}, which this Python was built without; decompress "
            "it, or pack it again as .tar"
        ) from None
    key = content_hash([str(path.resolve()), file_stamp(path)])[:32]
    entry = cache_folder(cache) / "unpacked" / key
    with entry_lock(entry):
        if _bytes_noted(entry) != file_stamp(entry / "archive.tar")[0]:
            _unpack(path, opener, entry)
        note_use(entry / "checks.json")
    return Tar(entry / "archive.tar", str(path))


def _unpack(path: Path, opener: Opener, entry: Path) -> None:
    """Decompress in order into the entry, whole or not at all."""
    limit = unpacked_limit(path.stat().st_size)
    partial = entry.with_name(f"{entry.name}.partial")
    done = 0
    try:
        with storing(entry.parent):
            shutil.rmtree(entry, ignore_errors=True)
            partial.mkdir(exist_ok=True)
            with opener(path) as packed, (partial / "archive.tar").open("wb") as out:
                while piece := _piece(packed, path):
                    done += len(piece)
                    if done > limit:
                        raise DataError(
                            f"{path} unpacks to more than {limit / 2**30:.1f} GiB, "
                            f"{RATIO_LIMIT} times its size, as no images do; pack it again without "
                            "compression if it is no bomb"
                        )
                    out.write(piece)
            note = {"source": str(path), "bytes": done}
            (partial / "checks.json").write_text(json.dumps(note), encoding="utf-8")
            partial.replace(entry)
    except BaseException:  # also when interrupted: there is no going on in the middle
        with contextlib.suppress(OSError):
            shutil.rmtree(partial, ignore_errors=True)
        raise


def _bytes_noted(entry: Path) -> int | None:
    """The size that the finished copy of an archive had."""
    try:
        return int(json.loads((entry / "checks.json").read_text(encoding="utf-8"))["bytes"])
    except DAMAGED:
        return None


def _piece(packed: IO[bytes], path: Path) -> bytes:
    try:
        return packed.read(PIECE)
    except Exception as error:  # each of the three modules has its own for damaged bytes
        raise DataError(_damaged(str(path), error)) from None


def _check_end(path: Path, offset: int) -> None:
    """A tar ends in a block of zeros; `tarfile` takes damage in the middle for the end."""
    with path.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != b"\0" * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"no header where one should be, at byte {offset}")


def _damaged(location: str, error: BaseException) -> str:
    return f"{location} is no whole tar ({error}): was it cut short? copy it or pack it again"


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "link"
    return "device or pipe" if member.isdev() else "special file"


def _listing_of(names: Iterable[str], reader: Reads, location: str) -> Listing:
    """The items of the archive's table, or else of its folders."""
    names = list(names)
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv"))]
    if len(metadata_among(tables)) > 1:  # one a part
        return listing_of(names, reader, location)
    for name in sorted(tables, key=lambda name: (name.count("/"), name)):
        if is_hidden(name):
            continue
        try:
            table = reader.read(name)
        except OSError as error:
            raise DataError(f"{location}: {name} {error}; pack it again") from None
        if lists_images(table):
            folder = PurePosixPath(name).parent
            files = Files(set(names).__contains__, lambda: names)
            found = items_of_table(table, f"{location}/{name}", folder, files=files)
            items, notes = merged(found)
            return Listing(items, notes=tuple(notes))
    return listing_of(names, reader, location)
