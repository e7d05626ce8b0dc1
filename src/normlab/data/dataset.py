"""Opening data: a source is scanned, prepared where the cache lacks it, and mapped into memory.

A cache entry's key is the content (the hash of every file with its name, class and part), the size,
the resize policy and the decoder's version, so that every run on the same pictures shares it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from normlab.canonical import list_hash
from normlab.data.cache import DAMAGED, cache_folder, entry_lock, note_use, read_arrays, storing
from normlab.data.cached_images import open_images
from normlab.data.decode import DECODER_VERSION, RESIZES, header_size
from normlab.data.layout import Note
from normlab.data.prepare import make_entry
from normlab.data.scan import (
    UNREADABLE,
    Manifest,
    Progress,
    check_classes,
    check_parts,
    hash_items,
    known_hashes,
    no_progress,
    store_hashes,
)
from normlab.data.sources.base import Source
from normlab.data.sources.by_location import open_source
from normlab.errors import DataError
from normlab.records.files import checksum, unseal
from normlab.records.run import known
from normlab.text import count


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
    for_training: bool = False,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """Open a source and prepare its images, or take them from the cache.

    Raises:
        DataError: the source cannot be used; with `strict`, any file cannot be read; with
            `for_training`, a class is not in every part.
        UnknownNameError: no such resize policy.
        StorageError: the cache cannot be written.
    """
    known("resize policy", resize, RESIZES)
    if image_size < 1:
        raise DataError(
            f"an image has at least 1 pixel a side, got {image_size}; give a larger size"
        )
    source = open_source(location, cache)
    if for_training:
        check_parts(source.items(), location)
    dataset = prepared(source, image_size, resize, cache=cache, progress=progress)
    if strict and dataset.manifest.unreadable:
        name, reason = dataset.manifest.unreadable[0]
        raise DataError(f"{location}: {name} {reason}; repair or remove it, or leave --strict out")
    return dataset


def prepared(
    source: Source,
    image_size: int,
    resize: str = "squash",
    *,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """The images of an open source, from the cache or prepared now; see `load_data`."""
    check_classes([item.label for item in source.items()], source.location)
    cache = cache_folder(cache)
    form = (image_size, resize)
    entry = None
    hashes = known_hashes(source, cache)
    if hashes is None and not _may_be_there(cache, source, image_size):
        entry = _prepare_unseen(source, form, cache, progress)
    if entry is None:
        if hashes is None or UNREADABLE in hashes:
            hashes = hash_items(source, cache, progress)
        entry = cache / "images" / _entry_key(source, hashes, *form)
    dataset = _open_entry(entry, source, image_size)
    if dataset is None:
        dataset = _prepare(entry, source, form, progress)
    return dataset


def _prepare(entry: Path, source: Source, form: tuple[int, str], progress: Progress) -> Dataset:
    """Make an entry whose name is known, unless another process has done so meanwhile."""

    def publish(partial: Path, hashes: Sequence[str]) -> None:
        if _entry_key(source, hashes, *form) != entry.name:
            raise DataError(
                f"{source.location} was changed while it was read; run the command again when "
                "nothing writes there"
            )
        partial.replace(entry)

    with entry_lock(entry):
        dataset = _open_entry(entry, source, form[0])
        if dataset is None:
            with storing(entry.parent):
                shutil.rmtree(entry, ignore_errors=True)
            make_entry(entry.with_name(f"{entry.name}.partial"), source, *form, progress, publish)
            dataset = _open_entry(entry, source, form[0])
    assert dataset is not None
    return dataset


def _prepare_unseen(
    source: Source, form: tuple[int, str], cache: Path, progress: Progress
) -> Path | None:
    """Hash and decode in one pass what was never read: only then is the entry's name known.

    Returns the entry; None where another process has read them meanwhile.
    """
    made: list[Path] = []
    new = cache / "images" / f"new-{list_hash([source.signature, *form, DECODER_VERSION])[:28]}"

    def publish(partial: Path, hashes: Sequence[str]) -> None:
        entry = new.with_name(_entry_key(source, hashes, *form))
        made.append(entry)
        with entry_lock(entry):
            if _open_entry(entry, source, form[0]) is None:
                shutil.rmtree(entry, ignore_errors=True)
                partial.replace(entry)
            else:
                shutil.rmtree(partial, ignore_errors=True)

    with entry_lock(new, passing=True):
        if known_hashes(source, cache) is None:
            partial = new.with_name(f"{new.name}.partial")
            hashes = make_entry(partial, source, *form, progress, publish)
            with storing(cache):
                store_hashes(source, cache, hashes)
    return made[0] if made else None


def _may_be_there(cache: Path, source: Source, size: int) -> bool:
    """Whether an entry has as many files at this size: the same images may have moved here."""
    for path in (cache / "images").glob("*/checks.json"):
        if path.parent.suffix == ".partial":  # a process died before it was an entry
            continue
        with contextlib.suppress(*DAMAGED):
            checks = json.loads(path.read_bytes())
            count = checks.get("files", checks.get("images"))
            if (count, checks.get("size")) == (len(source.items()), size):
                return True
    return False


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
    content = list_hash(
        [item.name, item.label, item.part, item.group, value] for item, value in rows
    )
    return list_hash([content, image_size, resize, DECODER_VERSION])[:32]


def _open_entry(entry: Path, source: Source, size: int) -> Dataset | None:
    """The entry, or None where it is missing or damaged."""
    try:
        path = entry / "checks.json"
        text, is_sealed = unseal(path.read_bytes(), path, "it is made again")
        checks = json.loads(text)
        if not is_sealed or checksum(entry / "manifest.npz") != checks["manifest"]:
            return None  # entries from before there were checksums are made again, too
        content = read_arrays(entry / "manifest.npz")
        shape = (len(content["names"]), size, size, 3)
        images = open_images(entry, shape, checks["shards"])
        if images is None:
            return None
        unreadable = tuple((str(name), str(why)) for name, why in content["unreadable"])
        manifest = Manifest(
            location=source.location,
            classes=tuple(str(name) for name in content["classes"]),
            names=content["names"],
            labels=content["labels"],
            parts=content["parts"],
            hashes=content["hashes"],
            widths=content["widths"],
            heights=content["heights"],
            unreadable=unreadable,
            skipped=source.skipped,
            given_groups=content["groups"] if content["groups"].any() else None,
            notes=(*_lost_classes(source, unreadable, content["classes"]), *source.notes),
        )
        note_use(entry / "checks.json")
        return Dataset(manifest, images, content["pixel_sums"], content["pixel_squares"])
    except DAMAGED:
        return None


def _lost_classes(
    source: Source, unreadable: Sequence[tuple[str, str]], classes: np.ndarray
) -> list[Note]:
    """The classes none of whose files could be read."""
    if not unreadable:
        return []
    kept, bad = {str(name) for name in classes}, dict(unreadable)
    lost: dict[str, list[str]] = {}
    for item in source.items():
        if item.name in bad and item.label not in kept:
            lost.setdefault(item.label, []).append(item.name)
    return [
        Note(
            f"class {label!r} is missing: none of its {count(len(names), 'file')} could be read "
            f"(the first, {names[0]}: {bad[names[0]]})",
            "Repair them, or remove the class",
            len(names),
        )
        for label, names in sorted(lost.items())
    ]
