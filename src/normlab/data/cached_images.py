"""The pixels of a cache entry with a CRC-32 for every 256 images.

Up to `CHECKED_AT_ONCE` bytes all of them are checked when the entry is opened (0.8 s a GiB), and an
entry that is damaged is made again. A larger array is checked while it is read: a shard when an
image of it is first asked for, once a process.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import UInt8

from normlab.data.sharded_images import ShardedImages, file_names, images_a_file, parts_of
from normlab.errors import StorageError

SHARD = 256
"""Images of a shard."""
CHECKED_AT_ONCE = 2**29
"""Bytes that are checked as a whole when an entry is opened."""

Pixels = UInt8[np.ndarray, "images s s 3"]


def shard_checksum(images: Pixels) -> int:
    """CRC-32 of the pixels of a shard."""
    return zlib.crc32(np.ascontiguousarray(images).data)


def shard_checksums(images: Pixels) -> list[int]:
    """CRC-32 of every shard."""
    return [shard_checksum(images[n : n + SHARD]) for n in range(0, len(images), SHARD)]


def open_images(folder: Path, shape: tuple[int, ...], checksums: Sequence[int]) -> Pixels | None:
    """The pixels of an entry, mapped and read-only; None where they are not what was written.

    Raises:
        OSError: a file is missing.
        ValueError: a file is too short.
    """
    if len(checksums) != -(-shape[0] // SHARD):
        return None
    each, paths = images_a_file(shape), [folder / f"{name}.u8" for name in file_names(shape)]
    shapes = [(min(each, shape[0] - k * each), *shape[1:]) for k in range(len(paths))]
    if any(path.stat().st_size != np.prod(own) for path, own in zip(paths, shapes, strict=True)):
        return None
    if len(paths) == 1:
        return _open_file(paths[0], shape, checksums)
    sums = parts_of(checksums, shape)

    def open_one(number: int) -> Pixels:
        return _watched(paths[number], shapes[number], sums[number])

    return cast("np.ndarray", ShardedImages(shape, open_one))


def _open_file(path: Path, shape: tuple[int, ...], checksums: Sequence[int]) -> Pixels | None:
    images = np.memmap(path, np.uint8, "r", shape=shape)
    if images.nbytes <= CHECKED_AT_ONCE:
        return images if shard_checksums(images) == list(checksums) else None
    return _watched(path, shape, checksums)


def _watched(path: Path, shape: tuple[int, ...], checksums: Sequence[int]) -> CheckedImages:
    checked = np.memmap(path, np.uint8, "r", shape=shape).view(CheckedImages)
    checked.watch(checksums)
    return checked


class CheckedImages(np.memmap):
    """Images whose shard is checked when one of it is first asked for, by number or slice."""

    _expected: Sequence[int] = ()
    _unchecked: np.ndarray | None = None

    def watch(self, checksums: Sequence[int]) -> None:
        """Check shards against these from now on."""
        self._expected = checksums
        self._unchecked = np.ones(len(checksums), bool)

    def __getitem__(self, index: Any) -> Any:
        """The images as a plain array.

        Raises:
            StorageError: they are not those that were written.
        """
        plain = self.view(np.ndarray)
        if self._unchecked is not None and self._unchecked.any():
            first = index[0] if isinstance(index, tuple) else index
            self._check(plain, np.unique(np.arange(len(plain))[first] // SHARD))
        return plain[index]

    def _check(self, plain: Pixels, shards: np.ndarray) -> None:
        assert self._unchecked is not None
        for shard in shards[self._unchecked[shards]].tolist():
            if shard_checksum(plain[shard * SHARD : (shard + 1) * SHARD]) != self._expected[shard]:
                entry = Path(str(self.filename)).parent
                raise StorageError(
                    f"the prepared images in {entry} were changed after they were written (the "
                    f"checksum of images {shard * SHARD} to {(shard + 1) * SHARD - 1} differs); "
                    "delete this folder, and run the command again to prepare them anew"
                )
            self._unchecked[shard] = False
