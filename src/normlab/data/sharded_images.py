"""Prepared images in several files of at most 1 GiB, as one array of images.

A large set in one file can be neither copied in parts nor fetched by halves: a machine that reads a
shared cache maps each file when an image of it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

FILE_BYTES = 2**30
"""A file holds no more than this …"""
WHOLE = 256
"""… and a whole multiple of so many images, so that no checksum spans two files."""


def images_a_file(shape: tuple[int, ...]) -> int:
    """How many images of (images, s, s, 3) bytes go into one file; all of them, where they fit."""
    size = int(np.prod(shape[1:]))
    if shape[0] * size <= FILE_BYTES:
        return shape[0]
    return max(FILE_BYTES // size // WHOLE, 1) * WHOLE


def file_names(shape: tuple[int, ...]) -> list[str]:
    """The names of the files, in order, without an ending.

    >>> file_names((10, 8, 8, 3))
    ['images']
    """
    each = images_a_file(shape)
    if each >= shape[0]:
        return ["images"]
    return [f"images-{number:05d}" for number in range(-(-shape[0] // each))]


class ShardedImages:
    """Images by number, slice, numbers or mask, as those of one array (images, s, s, 3)."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, shape: tuple[int, ...], open_file: Callable[[int], np.ndarray]) -> None:
        """`open_file(k)` maps the k-th file, once, when it is first needed."""
        self.shape = shape
        self._each = images_a_file(shape)
        self._open = open_file
        self._files: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.shape[0]

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all the images."""
        return int(np.prod(self.shape))

    def __getitem__(self, index: Any) -> np.ndarray:
        """A view where the images lie in one file, else a copy."""
        if isinstance(index, tuple):
            first, *rest = index
            chosen = self[first]
            return chosen[tuple(rest) if np.ndim(first) == 0 and not _spans(first) else
                          (slice(None), *rest)]  # fmt: skip
        if isinstance(index, slice):
            return self._slice(index)
        if np.ndim(index) == 0:
            number = range(len(self))[index]
            found: np.ndarray = self._file(number // self._each)[number % self._each]
            return found
        return self._gather(np.arange(len(self))[np.asarray(index)])

    def __setitem__(self, index: slice, values: np.ndarray) -> None:
        start, stop, step = index.indices(len(self))
        assert step == 1
        done = start
        while done < stop:
            number, place = divmod(done, self._each)
            upto = min(stop, (number + 1) * self._each)
            part = values[done - start : upto - start]
            self._file(number)[place : place + upto - done] = part
            done = upto

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def file_of(self, image: int) -> np.ndarray:
        """The images of the file that this one lies in."""
        return self._file(image // self._each)

    def _file(self, number: int) -> np.ndarray:
        if number not in self._files:
            self._files[number] = self._open(number)
        return self._files[number]

    def _slice(self, index: slice) -> np.ndarray:
        start, stop, step = index.indices(len(self))
        first, last = start // self._each, max(start, stop - 1) // self._each
        if step == 1 and first == last and start < len(self):
            base = first * self._each
            found: np.ndarray = self._file(first)[start - base : max(start, stop) - base]
            return found
        return self._gather(np.arange(len(self))[index])

    def _gather(self, numbers: np.ndarray) -> np.ndarray:
        found = np.empty((*numbers.shape, *self.shape[1:]), np.uint8)
        files = numbers // self._each
        for number in np.unique(files).tolist():
            own = files == number
            found[own] = self._file(number)[numbers[own] - number * self._each]
        return found


def _spans(index: Any) -> bool:
    return isinstance(index, slice)


def parts_of(values: Sequence[int], shape: tuple[int, ...]) -> list[list[int]]:
    """Checksums of every WHOLE images, divided among the files."""
    each = images_a_file(shape)
    if each >= shape[0]:
        return [list(values)]
    step = each // WHOLE
    return [list(values[k : k + step]) for k in range(0, len(values), step)]
