"""The manifest: which images there are, by content; and the hashing that it rests on."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from normlab.data.cache import DAMAGED, note_use, read_arrays
from normlab.data.layout import Item, Skipped
from normlab.data.sources import Source
from normlab.errors import DataError
from normlab.records.schema import list_hash
from normlab.records.store import atomic_write

Progress = Callable[[str, int, int], None]
"""progress(what, done, total)"""
UNREADABLE = ""
"""The hash of a file that could not be read."""


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """The readable images of a source, in the order of their names; one entry an image."""

    location: str
    classes: tuple[str, ...]
    names: np.ndarray
    labels: Int[np.ndarray, " images"]
    parts: np.ndarray
    """"train", "val", "test", or "" where the source has no parts."""
    hashes: np.ndarray
    """SHA-256 of the bytes, in hexadecimal."""
    widths: Int[np.ndarray, " images"]
    heights: Int[np.ndarray, " images"]
    unreadable: tuple[tuple[str, str], ...]
    """(name, reason) of what was left out."""
    skipped: Skipped = ()
    """(name, reason) of images that belong to no class of the source."""

    def __len__(self) -> int:
        """The number of readable images."""
        return len(self.names)

    @cached_property
    def groups(self) -> Int[np.ndarray, " images"]:
        """A number per image; exact copies of a file share it."""
        _, groups = np.unique(self.hashes, return_inverse=True)
        return groups.astype(np.int64)

    @property
    def copies(self) -> int:
        """How many images are exact copies of another."""
        return len(self) - int(self.groups.max(initial=-1)) - 1

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over hash, class, part and name of every image: the same wherever it lies."""
        classes = np.array(self.classes)[self.labels]
        rows = zip(self.names, classes, self.parts, self.hashes, strict=True)
        return list_hash([str(value) for value in row] for row in rows)

    def counts(self) -> dict[str, int]:
        """Images of each class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))


def hash_items(source: Source, cache: Path, progress: Progress = no_progress) -> list[str]:
    """SHA-256 of every item's bytes; from the cache where names, sizes and times are unchanged.

    Files that could not be read the last time are tried again.
    """
    path = cache / "scans" / f"{source.signature[:32]}.npz"
    items = source.items()
    hashes = _known_hashes(path, len(items))
    note_use(path)
    missing = [index for index, value in enumerate(hashes) if value == UNREADABLE]
    if not missing:
        return hashes

    def hash_one(item: Item) -> str:
        try:
            return hashlib.sha256(source.read(item.name)).hexdigest()
        except OSError:
            return UNREADABLE

    with ThreadPoolExecutor() as pool:
        values = pool.map(hash_one, [items[index] for index in missing])
        for done, (index, value) in enumerate(zip(missing, values, strict=True), start=1):
            hashes[index] = value
            progress("reading", done, len(missing))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, hashes=np.array(hashes, dtype=np.str_))
    atomic_write(path, buffer.getvalue())
    return hashes


def _known_hashes(path: Path, count: int) -> list[str]:
    """What an earlier scan of the same signature found; UNREADABLE where there is none."""
    try:
        hashes = [str(value) for value in read_arrays(path)["hashes"]]
    except DAMAGED:
        hashes = []
    return hashes if len(hashes) == count else [UNREADABLE] * count


def check_classes(labels: Sequence[str], location: str) -> tuple[str, ...]:
    """The class names in order.

    Raises:
        DataError: fewer than two classes, or a class with one image.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        only = f"one class ({next(iter(counts))!r})" if counts else "no readable image"
        raise DataError(f"{location} has {only}; a comparison needs at least two classes")
    for name, count in sorted(counts.items()):
        if count < 3:
            raise DataError(
                f"class {name!r} in {location} has {count} image"
                f"{'s' if count > 1 else ''}; it needs at least 3, one each for training, "
                "selection and evaluation: add images, or remove the class"
            )
    return tuple(sorted(counts))
