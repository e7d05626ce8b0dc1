"""The manifest: which images there are, by content; and the hashing that it rests on."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from normlab.canonical import list_hash
from normlab.data.cache import DAMAGED, note_use, read_arrays
from normlab.data.layout import Item, Note, Skipped
from normlab.data.sources.base import Source
from normlab.errors import DataError
from normlab.records.store import atomic_write

Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""progress(what, done, total)"""
UNREADABLE = ""
"""The hash of a file that could not be read."""


def no_progress(what: str, done: int, total: int) -> None:
    """Say nothing."""


def told(
    results: Iterable[Result], what: str, total: int, progress: Progress, every: int = 64
) -> Iterator[Result]:
    """The same results; progress is told after some of them, and after the last one."""
    for done, result in enumerate(results, start=1):
        yield result
        if done % every == 0 or done == total:
            progress(what, done, total)


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
    given_groups: np.ndarray | None = None
    """The groups that a table names, "" where it names none."""
    near_duplicate_groups: Int[np.ndarray, " images"] | None = None
    """A number per image that near copies share; None where they were not looked for."""
    notes: tuple[Note, ...] = ()
    """What a reader must know of how the images were read, missing classes first."""

    def __len__(self) -> int:
        """The number of readable images."""
        return len(self.names)

    @cached_property
    def groups(self) -> Int[np.ndarray, " images"]:
        """A number per image, 0, 1, …: what must stay on one side of every split shares it.

        Exact copies of a file, images of one group of the table, and near copies if they were
        looked for; and whatever these join.
        """
        keys = [np.unique(self.hashes, return_inverse=True)[1]]
        if self.near_duplicate_groups is not None:
            keys.append(self.near_duplicate_groups)
        if self.given_groups is not None:
            codes = np.unique(self.given_groups, return_inverse=True)[1]
            alone = np.arange(len(self)) + codes.max(initial=0) + 1
            keys.append(np.where(self.given_groups == "", alone, codes))
        return joined(keys)

    @property
    def duplicates(self) -> int:
        """How many images share a group with an earlier one."""
        return len(self) - int(self.groups.max(initial=-1)) - 1

    @property
    def exact_duplicates(self) -> int:
        """How many images are byte for byte a copy of another."""
        return len(self) - len(np.unique(self.hashes))

    @cached_property
    def groups_hash(self) -> str:
        """SHA-256 over the groups, by which two splits are the same."""
        return list_hash(self.groups.tolist())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over hash, class, part and name of every image: the same wherever it lies."""
        return list_hash(self._rows())

    def _rows(self, block: int = 4096) -> Iterator[tuple[str, str, str, str]]:
        """Name, class, part and hash of every image, of which a few are in memory as strings."""
        classes = np.array(self.classes)
        for first in range(0, len(self), block):
            part = slice(first, first + block)
            yield from zip(
                self.names[part].tolist(),
                classes[self.labels[part]].tolist(),
                self.parts[part].tolist(),
                self.hashes[part].tolist(),
                strict=True,
            )

    def counts(self) -> dict[str, int]:
        """Images of each class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, numbers.tolist(), strict=True))


def joined(keys: Sequence[Int[np.ndarray, " images"]]) -> Int[np.ndarray, " images"]:
    """Images that share any key, directly or through others; numbered in the order of the images.

    >>> joined([np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])]).tolist()
    [0, 0, 0, 1]
    """
    count = len(keys[0])
    if len(keys) == 1:
        parts = keys[0]
    else:
        rows, columns, first = [], [], count
        for key in keys:
            codes = np.unique(key, return_inverse=True)[1]
            rows.append(np.arange(count))
            columns.append(codes + first)
            first += int(codes.max(initial=-1)) + 1
        row, column = np.concatenate(rows), np.concatenate(columns)
        graph = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(first, first))
        parts = connected_components(graph, directed=False)[1][:count]
    _, where, numbers = np.unique(parts, return_index=True, return_inverse=True)
    order = np.empty(len(where), np.int64)
    order[np.argsort(where)] = np.arange(len(where))
    return order[numbers]


def hash_items(source: Source, cache: Path, progress: Progress = no_progress) -> list[str]:
    """SHA-256 of every item's bytes; from the cache where names, sizes and times are unchanged.

    Files that could not be read the last time are tried again.
    """
    items = source.items()
    hashes = known_hashes(source, cache) or [UNREADABLE] * len(items)
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
        told_values = told(values, "reading", len(missing), progress, every=1)
        for index, value in zip(missing, told_values, strict=True):
            hashes[index] = value
    store_hashes(source, cache, hashes)
    return hashes


def store_hashes(source: Source, cache: Path, hashes: Sequence[str]) -> None:
    """Keep what was read, for the next time that nothing has changed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, hashes=np.array(hashes, dtype=np.str_))
    atomic_write(_scan_path(source, cache), buffer.getvalue())


def known_hashes(source: Source, cache: Path) -> list[str] | None:
    """What an earlier scan of the same signature found; None where there was none."""
    path = _scan_path(source, cache)
    try:
        hashes: list[str] = read_arrays(path)["hashes"].tolist()
    except DAMAGED:
        return None
    note_use(path)
    return hashes if len(hashes) == len(source.items()) else None


def _scan_path(source: Source, cache: Path) -> Path:
    return cache / "scans" / f"{source.signature[:32]}.npz"


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
                "validation and test: add images, or remove the class"
            )
    return tuple(sorted(counts))


PART_ORDER = ("train", "val", "test")


def part_gaps(labels: Sequence[str], parts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Class → the parts of the source that have none of it; those alone that lack something.

    Without a training part there is no split by parts, which is refused elsewhere.

    >>> part_gaps(["a", "a", "c"], ["train", "val", "val"])
    {'c': ('train',)}
    """
    found: dict[str, set[str]] = {}
    for label, part in set(zip(labels, parts, strict=True)):
        found.setdefault(label, set()).add(part)
    there = set().union(*found.values())
    if "train" not in there or len(there) < 2:
        return {}
    return {
        label: tuple(part for part in PART_ORDER if part in there - own)
        for label, own in found.items()
        if own != there
    }


def check_parts(items: Sequence[Item], location: str) -> None:
    """Every class must be in every part of the source.

    Raises:
        DataError: a class is in some parts alone.
    """
    gaps = part_gaps([item.label for item in items], [item.part for item in items])
    if not gaps:
        return
    label = min(gaps, key=lambda name: ("train" not in gaps[name], name))
    own = {item.part for item in items if item.label == label}
    alone = " and ".join(part for part in PART_ORDER if part in own)
    more = f" (so it is with {len(gaps) - 1} more)" if len(gaps) > 1 else ""
    raise DataError(
        f"{location}: class {label!r} is in {alone} alone; {' and '.join(gaps[label])} "
        f"{'have' if len(gaps[label]) > 1 else 'has'} none of it{more}: add images there, or "
        "remove the class"
    )
