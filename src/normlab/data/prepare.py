"""Prepared images: decoded and scaled once into an array on disk that all runs share.

An entry is made in chunks beside its final name: a process that dies leaves its finished chunks to
the next one, and nobody ever opens a half entry.

    <key>/ images.u8     (images, size, size, 3), unsigned bytes
           manifest.npz  names, labels, …, per-image sums of pixels and of their squares
           checks.json   checksums of both: a CRC-32 for every 256 images, a SHA-256 of the manifest
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from normlab.data.cache import DAMAGED, read_arrays, storing
from normlab.data.cached_images import shard_checksum, shard_checksums
from normlab.data.decode import decode, quiet_pillow
from normlab.data.layout import Item
from normlab.data.scan import Progress, check_classes
from normlab.data.sources.base import Source
from normlab.errors import DataError, StorageError
from normlab.records.files import atomic_write, checksum, seal

CHUNK = 256
"""Images between two points from which a cut preparation can go on."""
SMALL = 64 * 64
"""Pixels of an image up to which one thread decodes faster than two, which wait for each other."""
FACTS = ("widths", "heights", "reasons", "pixel_sums", "pixel_squares")
"""What a chunk notes of each of its images; the reason is "" where it could be decoded."""
PIXELS = "checksum"
"""The checksum of the chunk's pixels, in the same note."""

Facts = dict[str, np.ndarray]
Pixels = UInt8[np.ndarray, "images s s 3"]


def make_entry(
    entry: Path,
    source: Source,
    hashes: Sequence[str],
    size: int,
    resize: str,
    progress: Progress,
) -> None:
    """Decode a source's images to squares of `size` pixels and store them, whole or not at all.

    The caller holds the entry's lock. `hashes` go into the manifest beside the names.

    Raises:
        DataError: too few images can be decoded; nothing is left behind.
        StorageError: the disk is full; finished chunks stay for the next attempt.
    """
    items = source.items()
    partial = entry.with_name(f"{entry.name}.partial")
    with storing(entry.parent):
        shutil.rmtree(entry, ignore_errors=True)
        if not (partial / "decoded.u8").exists():  # died while finishing: the pixels have moved on
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
    images = _allocate(partial / "decoded.u8", (len(items), size, size, 3))
    chunks = []
    for first in range(0, len(items), CHUNK):
        last = min(first + CHUNK, len(items))
        path = partial / f"chunk-{first:09d}.npz"
        facts = _noted(path, images[first:last])
        if facts is None:
            facts = _decode_chunk(source, items[first:last], images[first:last], resize)
            with storing(partial):
                images.flush()  # the pixels before the note that says they are there
                _save(path, facts)
        chunks.append(facts)
        progress("decoding", last, len(items))
    facts = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in FACTS}
    try:
        with storing(partial):
            _finish(partial, items, hashes, facts, images, source.location)
            partial.replace(entry)
    except DataError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _noted(path: Path, images: Pixels) -> Facts | None:
    """The note of an earlier attempt on a chunk of images; None unless both are there and whole."""
    try:
        facts = read_arrays(path)
        whole = all(len(facts[name]) == len(images) for name in FACTS)
        return facts if whole and int(facts[PIXELS]) == shard_checksum(images) else None
    except DAMAGED:
        return None


def _decode_chunk(source: Source, items: Sequence[Item], out: Pixels, resize: str) -> Facts:
    """Decode into `out`; returns what is known of each image, with a reason where it failed."""

    def one(index: int) -> tuple[int, int, str]:
        try:
            content = source.read(items[index].name)
            out[index], width, height = decode(content, out.shape[1], resize)
        except DataError as error:
            return 0, 0, str(error)
        except OSError as error:
            return 0, 0, error.strerror or str(error) or type(error).__name__
        return width, height, ""

    with quiet_pillow():
        results = [one(0)]
        width, height, _ = results[0]
        rest = range(1, len(items))
        if width * height <= SMALL:
            results += map(one, rest)
        else:
            with ThreadPoolExecutor() as pool:
                results += pool.map(one, rest)
    # One after the other in memory, a channel's bytes are summed several times as fast.
    planes = np.ascontiguousarray(out.reshape(len(items), -1, 3).transpose(0, 2, 1))
    return {
        "widths": np.array([width for width, _, _ in results]),
        "heights": np.array([height for _, height, _ in results]),
        "reasons": np.array([reason for _, _, reason in results], dtype=np.str_),
        "pixel_sums": planes.sum(2, dtype=np.int64),
        "pixel_squares": np.square(planes, dtype=np.int32).sum(2, dtype=np.int64),
        PIXELS: np.array(shard_checksum(out)),
    }


def _finish(
    partial: Path,
    items: Sequence[Item],
    hashes: Sequence[str],
    facts: Facts,
    images: np.memmap,
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
    if bad:
        compact = _allocate(partial / "images.u8", (len(rows), *images.shape[1:]))
        for first in range(0, len(rows), CHUNK):
            compact[first : first + CHUNK] = images[rows[first : first + CHUNK]]
        compact.flush()
        (partial / "decoded.u8").unlink()
    else:
        compact = images
        (partial / "decoded.u8").replace(partial / "images.u8")
    measured = ("widths", "heights", "pixel_sums", "pixel_squares")
    _save(
        partial / "manifest.npz",
        {
            "classes": np.array(classes, dtype=np.str_),
            "names": np.array([item.name for item in kept], dtype=np.str_),
            "labels": np.array([number[item.label] for item in kept]),
            "parts": np.array([item.part for item in kept], dtype=np.str_),
            "groups": np.array([item.group for item in kept], dtype=np.str_),
            "hashes": np.array(hashes, dtype=np.str_)[rows],
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
        "size": compact.shape[1],
    }
    atomic_write(partial / "checks.json", seal(json.dumps(checks).encode()))
    for path in partial.glob("chunk-*.npz"):
        path.unlink()


def _allocate(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A writable array on disk whose space is reserved now.

    Writing to a mapped page for which the disk has no room would kill the process.
    """
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
