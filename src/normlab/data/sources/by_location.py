"""Which source is at a location: a path, "demo:digits", or a data set of another library."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from normlab.data.layout import Item, Listing, NoClassFoldersError, is_hidden, is_image
from normlab.data.locations import DEMO, HUGGING_FACE, TORCHVISION
from normlab.data.sources.archives import (
    ShardSource,
    Tar,
    TarSource,
    ZipSource,
    is_tar,
    open_tar,
)
from normlab.data.sources.arrays import DigitsSource, open_npz
from normlab.data.sources.base import Source
from normlab.data.sources.cifar import EDITIONS, find_cifar, open_cifar
from normlab.data.sources.files import FileSource, file_stamp, open_folder, open_table
from normlab.data.sources.members import Members
from normlab.data.tables import TABLE_ENDINGS
from normlab.errors import DataError
from normlab.inputs import check_input

KINDS = "a folder, a .csv/.tsv table, a .zip, a .tar (also .tar.gz) or an .npz"
_UNPACK = "write its images into folders of classes, CLASS/image.png"
OTHERS = {
    ".lmdb": ("an LMDB database, which does not say how its images are stored", _UNPACK),
    ".mdb": ("an LMDB database, which does not say how its images are stored", _UNPACK),
    ".h5": ("an HDF5 file", "save its arrays with np.savez(path, images=…, labels=…)"),
    ".hdf5": ("an HDF5 file", "save its arrays with np.savez(path, images=…, labels=…)"),
    ".mat": ("a file of MATLAB", "save its arrays with np.savez(path, images=…, labels=…)"),
    ".npy": ("a single array", "save images and labels with np.savez(path, images=…, labels=…)"),
    ".tfrecord": ("a file of TensorFlow's records", _UNPACK),
    ".tfrecords": ("a file of TensorFlow's records", _UNPACK),
    ".rar": ("a RAR archive", "unpack it and give the folder"),
    ".7z": ("a 7z archive", "unpack it and give the folder"),
    ".xlsx": ("a workbook of Excel", "save the table as CSV (UTF-8)"),
    ".xls": ("a workbook of Excel", "save the table as CSV (UTF-8)"),
    ".ods": ("a spreadsheet", "save the table as CSV (UTF-8)"),
}
"""Ending → what such a file is, and what to do instead."""


def open_source(location: str, cache: Path | None = None) -> Source:
    """The source at a path, "demo:digits", or a data set by its name in another library.

    Nothing is downloaded. A compressed tar is unpacked into the cache.

    Raises:
        DataError: there is nothing, or nothing that holds images by class.
        MissingExtraError: the other library is not installed.
        StorageError: the cache has no room for a compressed tar.
    """
    if location == DEMO:
        return DigitsSource()
    if location.startswith("demo:"):
        raise DataError(f"there is no {location}; the data that come with normlab are {DEMO}")
    if location.startswith(TORCHVISION):
        from normlab.data.sources.torchvision_sets import open_torchvision

        return open_torchvision(location, cache)
    if location.startswith(HUGGING_FACE):
        from normlab.data.sources.hugging_face import open_hugging_face

        return open_hugging_face(location, cache)
    path = Path(location)
    if not path.exists():
        raise DataError(f"there is no {location}; give {KINDS}")
    return _open_folder(path) if path.is_dir() else _open_file(check_input(path), cache)


def open_pictures(path: Path) -> Source:
    """A file that holds or names images whose classes need not be known; "" where they are not.

    Raises:
        DataError: it is no table and no archive, or names no images.
        MissingExtraError: the table needs a library that is not installed.
    """
    check_input(path)
    if path.suffix.lower() in TABLE_ENDINGS:
        return open_table(path, labelled=False)
    try:
        return open_source(str(path))
    except NoClassFoldersError:
        if not zipfile.is_zipfile(path):
            raise
    names = sorted(name for name in Members(path) if is_image(name) and not is_hidden(name))
    if not names:
        raise DataError(f"{path} holds no images; give another")
    return FileSource(
        path.parent, str(path), Listing([Item(f"{path.name}/{n}", "") for n in names])
    )


def _open_folder(path: Path) -> Source:
    names = {
        f"{folder}{name.name}"
        for folder in ("", *(f"{edition.folder}/" for edition in EDITIONS))
        if (path / folder).is_dir()
        for name in (path / folder).iterdir()
        if name.is_file()
    }
    found = find_cifar(names)
    if found is None:
        _refuse_other_kinds(path, sorted(names))
        shards = [path / name for name in sorted(names) if name.lower().endswith(".tar")]
        if shards and not any(is_image(name) or (path / name).is_dir() for name in names):
            return ShardSource(path, [Tar(shard, str(shard)) for shard in shards])
        return open_folder(path)
    stamps = [file_stamp(path / name) for name in sorted(names)]
    return open_cifar(found, lambda name: (path / name).read_bytes(), str(path), stamps)


def _refuse_other_kinds(path: Path, names: Sequence[str]) -> None:
    """A folder with nothing but a database, or a file of a kind that is not read."""
    if path.is_dir() and ("data.mdb" not in names or any(map(is_image, names))):
        return
    what = OTHERS.get(".mdb" if path.is_dir() else path.suffix.lower())
    if what is not None:
        raise DataError(f"{path} is {what[0]}; {what[1]}")


def _open_file(path: Path, cache: Path | None) -> Source:
    ending = path.suffix.lower()
    _refuse_other_kinds(path, ())
    if ending in TABLE_ENDINGS:
        return open_table(path)
    if ending == ".npz":
        return open_npz(path)
    if is_tar(path):
        tar = open_tar(path, cache)
        found = find_cifar(set(tar.names))
        if found is not None:
            return open_cifar(found, tar.read, str(path), [tar.stamp])
        return TarSource(tar)
    if ending == ".zip" or zipfile.is_zipfile(path):
        return ZipSource(path)
    raise DataError(f"{path} is neither {KINDS.replace(' or ', ' nor ')}")
