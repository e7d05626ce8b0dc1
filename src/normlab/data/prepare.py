"""Prepared images: decoded and scaled once into an array on disk that all runs share.

An entry is made in chunks beside its final name: a process that dies leaves its finished chunks to
the next one, and nobody ever opens a half entry.

    <key>/ images.u8     (images, size, size, 3), unsigned bytes; over 1 GiB images-00000.u8, …
           manifest.npz  names, labels, …, per-image sums of pixels and of their squares
           checks.json   checksums of both: a CRC-32 for every 256 images, a SHA-256 of the manifest
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import UInt8

from normlab.data.cache import DAMAGED, read_arrays, storing
from normlab.data.cached_images import shard_checksum, shard_checksums
from normlab.data.decode import quiet_pillow
from normlab.data.layout import Item
from normlab.data.read_images import FACTS, Facts, Reader, facts_of, reads_best_alone
from normlab.data.scan import Progress, check_classes
from normlab.data.sharded_images import ShardedImages, file_names, images_a_file
from normlab.data.sources.base import Source
from normlab.errors import DataError, StorageError
from normlab.records.files import atomic_write, checksum, seal

CHUNK = 256
"""Images between two points from which a cut preparation can go on."""
PIXELS = "checksum"
"""The checksum of the chunk's pixels, in its note beside the facts of its images."""
DECODED = "decoded"
"""What the files of images are called while they may have gaps."""

Pixels = UInt8[np.ndarray, "images s s 3"]
Publish = Callable[[Path, Sequence[str]], None]
"""publish(folder, hashes) gives the finished folder its name."""


def make_entry(
    partial: Path,
    source: Source,
    size: int,
    resize: str,
    progress: Progress,
    publish: Publish,
) -> list[str]:
    """Decode a source's images to squares of `size` pixels and store them, whole or not at all.

    The caller holds the lock of what `partial` becomes. Returns the hashes of the files, which go
    into the manifest beside the names.

    Raises:
        DataError: too few images can be decoded; nothing is left behind.
        StorageError: the disk is full; finished chunks stay for the next attempt.
    """
    items = source.items()
    shape = (len(items), size, size, 3)
    with storing(partial.parent):
        there = [(partial / f"{name}.u8").exists() for name in _names(DECODED, shape)]
        if not all(there):  # died while finishing: the pixels have moved on
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
    images = _allocate(partial, DECODED, shape)
    assert images_a_file(shape) in (len(items), images_a_file(shape) // CHUNK * CHUNK)
    chunks = []
    for last, facts in _chunks(partial, source, images, resize):
        chunks.append(facts)
        progress("decoding", last, len(items))
    facts = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in FACTS}
    hashes: list[str] = facts["hashes"].astype(np.str_).tolist()
    try:
        with storing(partial):
            _finish(partial, items, facts, images, source.location)
            publish(partial, hashes)
    except DataError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return hashes


def _chunks(
    partial: Path, source: Source, images: Pixels, resize: str
) -> Iterator[tuple[int, Facts]]:
    """(images so far, facts) of every chunk, from its note or read now; one is read ahead."""
    items = source.items()
    begun: deque[tuple[int, int, Facts | list[Future[Facts]]]] = deque()
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_pillow())
        pool = None if reads_best_alone(source) else stack.enter_context(ThreadPoolExecutor())
        reader = Reader(source, resize, pool)
        for first in range(0, len(items), CHUNK):
            last = min(first + CHUNK, len(items))
            found = _noted(_note(partial, first), images[first:last])
            begun.append(
                (first, last, found or reader.begin(items[first:last], images[first:last]))
            )
            if len(begun) > 1:
                yield _ended(partial, images, *begun.popleft())
        while begun:
            yield _ended(partial, images, *begun.popleft())


def _ended(
    partial: Path, images: Pixels, first: int, last: int, found: Facts | list[Future[Facts]]
) -> tuple[int, Facts]:
    """The facts of a chunk, noted once they and its pixels are there."""
    if isinstance(found, dict):
        return last, found
    facts = facts_of(found)
    with storing(partial):
        _flush(images, first)  # the pixels before the note that says they are there
        pixels = np.array(shard_checksum(images[first:last]))
        _save(_note(partial, first), {**facts, PIXELS: pixels})
    return last, facts


def _note(partial: Path, first: int) -> Path:
    return partial / f"chunk-{first:09d}.npz"


def _noted(path: Path, images: Pixels) -> Facts | None:
    """The note of an earlier attempt on a chunk of images; None unless both are there and whole."""
    try:
        facts = read_arrays(path)
        whole = all(len(facts[name]) == len(images) for name in FACTS)
        return facts if whole and int(facts[PIXELS]) == shard_checksum(images) else None
    except DAMAGED:
        return None


def _finish(
    partial: Path,
    items: Sequence[Item],
    facts: Facts,
    images: Pixels,
    location: str,
) -> None:
    """Close the gaps that unreadable images left, and write manifest and checks."""
    reasons = facts["reasons"].tolist()
    bad = [(item.name, reason) for item, reason in zip(items, reasons, strict=True) if reason]
    kept = [item for item, reason in zip(items, reasons, strict=True) if not reason]
    if not kept:
        name, reason = bad[0]
        raise DataError(
            f"{location}: none of {len(items)} files is a readable image; the first, {name}: "
            f"{reason}"
        )
    classes = check_classes([item.label for item in kept], location)
    number = {name: index for index, name in enumerate(classes)}
    rows = np.flatnonzero(facts["reasons"] == "")
    compact = _without_gaps(partial, images, rows)
    measured = ("widths", "heights", "pixel_sums", "pixel_squares")
    _save(
        partial / "manifest.npz",
        {
            "classes": np.array(classes, dtype=np.str_),
            "names": np.array([item.name for item in kept], dtype=np.str_),
            "labels": np.array([number[item.label] for item in kept]),
            "parts": np.array([item.part for item in kept], dtype=np.str_),
            "groups": np.array([item.group for item in kept], dtype=np.str_),
            "hashes": facts["hashes"][rows].astype(np.str_),
            "unreadable": np.array(bad, dtype=np.str_).reshape(-1, 2),
            **{name: facts[name][rows] for name in measured},
        },
    )
    checks = {
        "bytes": int(compact.nbytes),
        "shards": shard_checksums(compact),
        "manifest": checksum(partial / "manifest.npz"),
        "source": location,  # the rest is for `normlab cache` to show
        "images": len(compact),
        "files": len(items),
        "size": compact.shape[1],
    }
    atomic_write(partial / "checks.json", seal(json.dumps(checks).encode()))
    for path in partial.glob("chunk-*.npz"):
        path.unlink()


def _without_gaps(partial: Path, images: Pixels, rows: np.ndarray) -> Pixels:
    """The images of these rows, under their final names."""
    before = _names(DECODED, images.shape)
    if len(rows) == len(images):
        for old, new in zip(before, file_names(images.shape), strict=True):
            (partial / f"{old}.u8").replace(partial / f"{new}.u8")
        return images
    compact = _allocate(partial, "images", (len(rows), *images.shape[1:]))
    for first in range(0, len(rows), CHUNK):
        compact[first : first + CHUNK] = images[rows[first : first + CHUNK]]
        _flush(compact, first)
    for old in before:
        (partial / f"{old}.u8").unlink()
    return compact


def _names(name: str, shape: tuple[int, ...]) -> list[str]:
    return [file.replace("images", name, 1) for file in file_names(shape)]


def _flush(images: Pixels | ShardedImages, at: int) -> None:
    """Write the file of an image to the disk."""
    if isinstance(images, ShardedImages):
        images = images.file_of(at)
    if isinstance(images, np.memmap):
        images.flush()


def _allocate(folder: Path, name: str, shape: tuple[int, ...]) -> Pixels:
    """A writable array on disk whose space is reserved now, in as many files as it takes.

    Writing to a mapped page for which the disk has no room would kill the process.
    """
    each, names = images_a_file(shape), _names(name, shape)
    files = [
        _allocate_file(folder / f"{one}.u8", (min(each, shape[0] - k * each), *shape[1:]))
        for k, one in enumerate(names)
    ]
    if len(files) == 1:
        return files[0]
    return cast("np.ndarray", ShardedImages(shape, files.__getitem__))


def _allocate_file(path: Path, shape: tuple[int, ...]) -> np.memmap:
    size = int(np.prod(shape))
    try:
        with path.open("a+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
        return np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()  # only where nothing else was stored in it
        raise StorageError(
            f"the cache needs {size / 2**20:.1f} MiB at {path.parent}: {error.strerror}; free some "
            "space or set NORMLAB_CACHE to another folder"
        ) from error


def _save(path: Path, arrays: Facts) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    atomic_write(path, buffer.getvalue())
