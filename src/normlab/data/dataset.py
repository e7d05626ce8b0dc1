"""Prepared images: decoded and scaled once into a memory-mapped array that all runs share.

The entry's key is the content (the hash of every file with its name, class and part), the size,
the resize policy and the decoder's version. It is made in chunks beside its final name: a process
that dies leaves its finished chunks to the next one, and nobody ever opens a half entry.

    <key>/ images.u8   (images, size, size, 3), unsigned bytes
           manifest.npz  names, labels, …, per-image sums of pixels and of their squares
           checks.json   what must be true of images.u8 when it is opened
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from normlab.data.cache import DAMAGED, cache_folder, entry_lock, read_arrays
from normlab.data.decode import DECODER_VERSION, decode, header_size, quiet_pillow
from normlab.data.scan import Manifest, Progress, check_classes, hash_items, no_progress
from normlab.data.sources import Item, Source, open_source
from normlab.errors import DataError, StorageError
from normlab.records.schema import content_hash
from normlab.records.store import atomic_write

CHUNK = 256
"""Images between two points from which a cut preparation can go on."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A manifest and its pixels."""

    manifest: Manifest
    images: UInt8[np.ndarray, "images s s 3"]
    """Memory-mapped, read-only."""
    pixel_sums: Int[np.ndarray, "images 3"]
    """Σ of the bytes of each image and channel; with the squares it gives exact statistics."""
    pixel_squares: Int[np.ndarray, "images 3"]


def load_data(
    location: str,
    image_size: int,
    resize: str = "squash",
    *,
    strict: bool = False,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Open a source and prepare its images, or take them from the cache.

    Raises:
        DataError: the source cannot be used; with `strict`, any file cannot be read.
        StorageError: the cache cannot be written.
    """
    source = open_source(location)
    check_classes([item.label for item in source.items()], location)
    cache = cache or cache_folder()
    hashes = hash_items(source, cache, progress)
    key = _entry_key(source, hashes, image_size, resize)
    entry = cache / "images" / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry_lock(entry):
        dataset = _open_entry(entry, location, image_size)
        if dataset is None:
            shutil.rmtree(entry, ignore_errors=True)
            _make_entry(entry, source, hashes, image_size, resize, progress)
            dataset = _open_entry(entry, location, image_size)
    assert dataset is not None
    if strict and dataset.manifest.unreadable:
        name, reason = dataset.manifest.unreadable[0]
        raise DataError(f"{location}: {name} {reason}; repair or remove it, or leave --strict out")
    return dataset


def typical_size(location: str, sample: int = 64) -> int:
    """The median shorter side of some images, in pixels, read from their headers.

    Raises:
        DataError: the source cannot be used.
    """
    source = open_source(location)
    items = source.items()
    sides = []
    for item in items[:: max(1, len(items) // sample)]:
        with contextlib.suppress(OSError, DataError):
            sides.append(min(header_size(source.read(item.name))))
    return int(np.median(sides)) if sides else 0


def _entry_key(source: Source, hashes: Sequence[str], image_size: int, resize: str) -> str:
    rows = zip(source.items(), hashes, strict=True)
    content = [[item.name, item.label, item.part, value] for item, value in rows]
    return content_hash([content, image_size, resize, DECODER_VERSION])[:32]


def _open_entry(entry: Path, location: str, size: int) -> Dataset | None:
    """The entry, or None where it is missing or damaged."""
    try:
        checks = json.loads((entry / "checks.json").read_text())
        content = read_arrays(entry / "manifest.npz")
        shape = (len(content["names"]), size, size, 3)
        images = np.memmap(entry / "images.u8", np.uint8, "r", shape=shape)
        if _sample_checksum(images) != checks["sample"]:
            return None
        if (entry / "images.u8").stat().st_size != checks["bytes"]:
            return None
    except DAMAGED:
        return None
    manifest = Manifest(
        location=location,
        classes=tuple(str(name) for name in content["classes"]),
        names=content["names"],
        labels=content["labels"],
        parts=content["parts"],
        hashes=content["hashes"],
        widths=content["widths"],
        heights=content["heights"],
        unreadable=tuple((str(name), str(why)) for name, why in content["unreadable"]),
    )
    return Dataset(manifest, images, content["pixel_sums"], content["pixel_squares"])


def _make_entry(
    entry: Path,
    source: Source,
    hashes: Sequence[str],
    size: int,
    resize: str,
    progress: Progress,
) -> None:
    items = source.items()
    partial = entry.with_name(f"{entry.name}.partial")
    if not (partial / "decoded.u8").exists():  # died while finishing: the pixels have moved on
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    images = _allocate(partial / "decoded.u8", (len(items), size, size, 3))
    chunks = []
    for first in range(0, len(items), CHUNK):
        path = partial / f"chunk-{first:09d}.npz"
        if not path.exists():
            last = min(first + CHUNK, len(items))
            facts = _decode_chunk(source, items[first:last], images[first:last], resize)
            images.flush()  # the pixels before the note that says they are there
            _save(path, facts)
        chunks.append(read_arrays(path))
        progress("decoding", min(first + CHUNK, len(items)), len(items))
    facts = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    try:
        _finish(partial, items, hashes, facts, images, source.location)
    except DataError:  # nothing of these images will ever be used
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.replace(entry)


def _decode_chunk(
    source: Source,
    items: Sequence[Item],
    out: UInt8[np.ndarray, "images s s 3"],
    resize: str,
) -> dict[str, np.ndarray]:
    """Decode into `out`; returns what is known of each image, with a reason where it failed."""

    def one(index: int) -> tuple[int, int, str]:
        try:
            content = source.read(items[index].name)
            out[index], width, height = decode(content, out.shape[1], resize)
        except (DataError, OSError) as error:
            return 0, 0, str(error) or type(error).__name__
        return width, height, ""

    with quiet_pillow(), ThreadPoolExecutor() as pool:
        results = list(pool.map(one, range(len(items))))
    pixels = out.reshape(len(items), -1, 3)
    return {
        "widths": np.array([width for width, _, _ in results]),
        "heights": np.array([height for _, height, _ in results]),
        "reasons": np.array([reason for _, _, reason in results], dtype=np.str_),
        "pixel_sums": pixels.sum(1, dtype=np.int64),
        "pixel_squares": np.square(pixels, dtype=np.int32).sum(1, dtype=np.int64),
    }


def _finish(
    partial: Path,
    items: Sequence[Item],
    hashes: Sequence[str],
    facts: dict[str, np.ndarray],
    images: np.memmap,
    location: str,
) -> None:
    """Close the gaps that unreadable images left, and write manifest and checks."""
    good = facts["reasons"] == ""
    kept = [item for item, is_good in zip(items, good, strict=True) if is_good]
    if not kept:
        raise DataError(f"{location}: none of {len(items)} files is a readable image")
    classes = check_classes([item.label for item in kept], location)
    number = {name: index for index, name in enumerate(classes)}
    rows = np.flatnonzero(good)
    if len(rows) < len(items):
        compact = _allocate(partial / "images.u8", (len(rows), *images.shape[1:]))
        for first in range(0, len(rows), CHUNK):
            compact[first : first + CHUNK] = images[rows[first : first + CHUNK]]
        compact.flush()
        (partial / "decoded.u8").unlink()
    else:
        compact = images
        (partial / "decoded.u8").replace(partial / "images.u8")
    bad = [
        (item.name, str(reason))
        for item, reason in zip(items, facts["reasons"], strict=True)
        if reason
    ]
    _save(
        partial / "manifest.npz",
        {
            "classes": np.array(classes, dtype=np.str_),
            "names": np.array([item.name for item in kept], dtype=np.str_),
            "labels": np.array([number[item.label] for item in kept]),
            "parts": np.array([item.part for item in kept], dtype=np.str_),
            "hashes": np.array(hashes, dtype=np.str_)[rows],
            "unreadable": np.array(bad, dtype=np.str_).reshape(-1, 2),
            **{
                name: facts[name][rows]
                for name in ("widths", "heights", "pixel_sums", "pixel_squares")
            },
        },
    )
    checks = {"bytes": int(compact.nbytes), "sample": _sample_checksum(compact)}
    atomic_write(partial / "checks.json", json.dumps(checks).encode())
    for path in partial.glob("chunk-*.npz"):
        path.unlink()


def _allocate(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A writable array on disk whose space is reserved now.

    Writing to a mapped page for which the disk has no room would kill the process.
    """
    size = int(np.prod(shape))
    try:
        with path.open("a+b") as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
        return np.memmap(path, np.uint8, "r+", shape=shape)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageError(
            f"the cache needs {size / 2**20:.0f} MiB at {path.parent}: {error.strerror}; free some "
            "space or set NORMLAB_CACHE to another folder"
        ) from error


def _sample_checksum(images: UInt8[np.ndarray, "images s s 3"]) -> int:
    """CRC-32 of up to 64 images spread over the array: quick however large it is."""
    rows = np.unique(np.linspace(0, len(images) - 1, 64, dtype=np.int64))
    return zlib.crc32(np.ascontiguousarray(images[rows]).tobytes())


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    atomic_write(path, buffer.getvalue())
