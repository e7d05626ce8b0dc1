"""Duplicates as groups of a data set, found once and kept in the cache."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from normlab.canonical import list_hash
from normlab.data.cache import DAMAGED, cache_folder, entry_lock, note_use, read_arrays
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.groups import source_groups
from normlab.data.duplicates.pair_file import Decisions, read_pairs
from normlab.data.duplicates.search_pairs import (
    Duplicates,
    exact_duplicates,
    find_duplicates,
    find_near_duplicates,
)
from normlab.data.scan import Manifest, Progress, no_progress
from normlab.errors import DataError, UnknownNameError
from normlab.records.plan import CopyLevel
from normlab.records.store import atomic_write

DUPLICATES_VERSION = 4
"""Raised when the same images would give other pairs; 1 are the groups of `near`."""
COMPARED_AT = 64
"""Side, in pixels, at which images are compared."""
LEAST_SIDE = 24
"""Images that are mostly smaller are not compared: too little detail tells them apart."""
LARGEST_SEARCHED = 500_000
"""Images beyond which only exact copies are looked for: so many take some 7 GB."""
LARGEST_IN_FIRST_VERSION = 100_000
LEVELS: dict[str, CopyLevel] = {
    "exact": "exact",
    "duplicates": "duplicates",
    "look-alikes": "look-alikes",
    "near": "duplicates",
}
"""What --copies may say; `near` is the old name."""


@dataclass(frozen=True, eq=False)
class GroupedDataset:
    """A data set whose manifest has the groups, and the pairs that they come from."""

    dataset: Dataset
    pairs: Duplicates
    """All pairs that were found; its groups are those of what is acted on."""
    decisions: Decisions


def copy_level(name: str) -> CopyLevel:
    """What an option says is kept together.

    Raises:
        UnknownNameError: it is none of exact, duplicates, look-alikes (and near, the old name).
    """
    if name not in LEVELS:
        raise UnknownNameError("kind of copies", name, tuple(LEVELS)[:3])
    return LEVELS[name]


def with_duplicates(
    dataset: Dataset,
    copies: CopyLevel = "duplicates",
    pairs: str | Path = "",
    *,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Dataset:
    """The same data with copies in one group, so that no split tears them apart.

    Where a table names groups, they are taken as they are, and look-alikes and duplicates that were
    accepted in `pairs` beside them. Sets of images mostly smaller than LEAST_SIDE keep their exact
    copies alone.

    Raises:
        DataError: `pairs` is not a pairs.csv of these images.
    """
    if copies == "near":
        return _with_groups_of_first_version(dataset, cache, progress)
    if copies == "exact":
        if pairs:
            raise DataError(
                f"{pairs} has decisions about pairs, and with exact copies no pairs are looked "
                "for; choose duplicates or look-alikes"
            )
        return dataset
    if dataset.manifest.given_groups is not None and not pairs:
        return dataset
    return group_duplicates(dataset, copies, pairs, cache=cache, progress=progress).dataset


def group_duplicates(
    dataset: Dataset,
    copies: CopyLevel = "duplicates",
    pairs: str | Path = "",
    *,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> GroupedDataset:
    """Find the pairs (or read them from the cache), and group what is acted on.

    Raises:
        DataError: `pairs` is not a pairs.csv of these images.
    """
    manifest = dataset.manifest
    decisions = read_pairs(Path(pairs), manifest) if pairs else Decisions()
    if copies == "exact" or not _is_compared(manifest, LARGEST_SEARCHED):
        found = exact_duplicates([str(h) for h in manifest.hashes])
    else:
        found = known_duplicates(dataset, cache=cache, progress=progress)
    groups = acted_groups(manifest, found, copies, decisions)
    grouped = replace(dataset, manifest=replace(manifest, near_duplicate_groups=groups))
    return GroupedDataset(grouped, replace(found, groups=groups), decisions)


def acted_groups(
    manifest: Manifest, found: Duplicates, copies: CopyLevel, decisions: Decisions
) -> Int[np.ndarray, " n"]:
    """The groups of the pairs that are acted on: a number per image.

    Duplicates (and look-alikes, where they are asked for) that nobody rejected, and what somebody
    accepted, which always joins. Equal bytes stay together whatever was decided.
    """
    accepted, rejected = decisions.masks(manifest, found)
    wanted = found.certain if copies == "duplicates" else np.ones(len(found), bool)
    equal = ((found.score == 1) & found.certain & ~rejected) | found.exact | accepted
    joins = wanted & ~rejected & ~equal
    return source_groups(len(manifest), found.pairs[equal], found.pairs[joins], found.score[joins])


def known_duplicates(
    dataset: Dataset, *, cache: Path | None = None, progress: Progress = no_progress
) -> Duplicates:
    """All pairs, from the cache if they were found before.

    At one size whatever the run's, so that all runs on these images have the same groups.
    """
    manifest = dataset.manifest
    path = _place(manifest, cache, DUPLICATES_VERSION)
    with entry_lock(path):
        found = _read_pairs(path, len(manifest))
        if found is None:
            images = _images(dataset, cache, progress)
            sizes = np.stack([manifest.widths, manifest.heights], 1)
            found = find_duplicates(images, [str(h) for h in manifest.hashes], progress, sizes)
            _store(path, {field.name: getattr(found, field.name) for field in fields(found)})
    note_use(path)
    return found


def _is_compared(manifest: Manifest, largest: int) -> bool:
    """Whether there is enough detail, and not too many images."""
    if len(manifest) > largest:
        return False
    return float(np.median(np.minimum(manifest.widths, manifest.heights))) >= LEAST_SIDE


def _with_groups_of_first_version(
    dataset: Dataset, cache: Path | None, progress: Progress
) -> Dataset:
    """As studies that were frozen with `copies = "near"` have them."""
    manifest = dataset.manifest
    if manifest.given_groups is not None or not _is_compared(manifest, LARGEST_IN_FIRST_VERSION):
        return dataset
    path = _place(manifest, cache, 1)
    with entry_lock(path):
        groups = _read_groups(path, len(manifest))
        if groups is None:
            images = _images(dataset, cache, progress)
            hashes = [str(h) for h in manifest.hashes]
            groups = find_near_duplicates(images, hashes, progress).groups
            _store(path, {"groups": groups})
    note_use(path)
    return replace(dataset, manifest=replace(manifest, near_duplicate_groups=groups))


def _images(
    dataset: Dataset, cache: Path | None, progress: Progress
) -> UInt8[np.ndarray, "n s s 3"]:
    manifest = dataset.manifest
    loaded = load_data(manifest.location, COMPARED_AT, cache=cache, progress=progress)
    if loaded.manifest.fingerprint != manifest.fingerprint:
        raise DataError(
            f"{manifest.location} was changed while it was read; start again when nothing writes "
            "to it"
        )
    return loaded.images


def _place(manifest: Manifest, cache: Path | None, version: int) -> Path:
    key = list_hash([str(value) for value in manifest.hashes])
    return cache_folder(cache) / "groups" / f"{key[:32]}-{version}.npz"


def _store(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    atomic_write(path, buffer.getvalue())


def _read_groups(path: Path, count: int) -> Int[np.ndarray, " images"] | None:
    try:
        groups: Int[np.ndarray, " images"] = read_arrays(path)["groups"]
    except DAMAGED:
        return None
    return groups if len(groups) == count else None


def _read_pairs(path: Path, count: int) -> Duplicates | None:
    try:
        arrays = read_arrays(path)
        found = Duplicates(**{field.name: arrays[field.name] for field in fields(Duplicates)})
    except DAMAGED:
        return None
    return found if len(found.groups) == count else None
