"""Near copies as groups of a data set, found once and kept in the cache."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from normlab.data.cache import DAMAGED, cache_folder, entry_lock, note_use, read_arrays
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.search_pairs import Duplicates, find_duplicates
from normlab.data.scan import Manifest, Progress, no_progress
from normlab.records.run import list_hash
from normlab.records.store import atomic_write

DUPLICATES_VERSION = 1
"""Raised when the same images would give other groups."""
COMPARED_AT = 64
"""Side, in pixels, at which images are compared."""
LEAST_SIDE = 24
"""Images that are mostly smaller are not compared: too little detail tells them apart."""
LARGEST_SEARCHED = 100_000
"""Images beyond which `compare` does not look for near copies by itself: it takes hours."""


def with_near_duplicates(
    dataset: Dataset, *, cache: Path | None = None, progress: Progress = no_progress
) -> Dataset:
    """The same data with near copies in one group, so that no split tears them apart.

    Where a table names groups, they are taken as they are. Sets of more than LARGEST_SEARCHED
    images, and of images smaller than LEAST_SIDE, keep their exact copies alone.
    """
    manifest = dataset.manifest
    if not looks_for_duplicates(manifest):
        return dataset
    path = _place(manifest, cache)
    with entry_lock(path):
        groups = _known(path, len(manifest))
        if groups is None:
            groups = _find(dataset, cache, progress).groups
            _store(path, groups)
    note_use(path)
    return replace(dataset, manifest=replace(manifest, near_duplicate_groups=groups))


def looks_for_duplicates(manifest: Manifest) -> bool:
    """Whether near copies are looked for: no groups given, enough detail, not too many images."""
    if manifest.given_groups is not None:
        return False
    side = float(np.median(np.minimum(manifest.widths, manifest.heights)))
    return side >= LEAST_SIDE and len(manifest) <= LARGEST_SEARCHED


def keep_groups(manifest: Manifest, duplicates: Duplicates, cache: Path | None = None) -> None:
    """Keep what a check has found among images at COMPARED_AT, so that no study looks again."""
    path = _place(manifest, cache)
    with entry_lock(path):
        _store(path, duplicates.groups)


def _place(manifest: Manifest, cache: Path | None) -> Path:
    key = list_hash([str(value) for value in manifest.hashes])
    return cache_folder(cache) / "groups" / f"{key[:32]}-{DUPLICATES_VERSION}.npz"


def _store(path: Path, groups: Int[np.ndarray, " images"]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, groups=groups)
    atomic_write(path, buffer.getvalue())


def _find(dataset: Dataset, cache: Path | None, progress: Progress) -> Duplicates:
    """At one size whatever the run's, so that all runs on these images have the same groups."""
    manifest = dataset.manifest
    dataset = load_data(manifest.location, COMPARED_AT, cache=cache, progress=progress)
    return find_duplicates(dataset.images, [str(h) for h in manifest.hashes], progress)


def _known(path: Path, count: int) -> Int[np.ndarray, " images"] | None:
    try:
        groups: Int[np.ndarray, " images"] = read_arrays(path)["groups"]
    except DAMAGED:
        return None
    return groups if len(groups) == count else None
