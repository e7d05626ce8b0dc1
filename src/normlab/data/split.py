"""Three parts of the data: train, validation (cut anew in each block), test (fixed).

The test part is the source's own `test` part, or its `val` part, or a cut that is the same in
every block. The validation part is the source's `val` part where it also has `test`, or else is cut
out of the training part anew in each block, so that its choice is part of what varies between
blocks. Exact copies of an image are kept on one side; where the source's own parts share copies,
those in training (or validation) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from normlab.data.scan import Manifest
from normlab.errors import DataError
from normlab.randomness import numpy_stream
from normlab.records.run import DataSpec
from normlab.text import count

Indices = Int[np.ndarray, " images"]


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the manifest, ascending; the three parts share no image and no group."""

    train: Indices
    validation: Indices
    test: Indices


def make_split(manifest: Manifest, spec: DataSpec, seed: int, block: int) -> Split:
    """The split of a block, the same for every arm.

    Raises:
        DataError: a class is too small to be in every part.
    """
    everything = np.arange(len(manifest))
    parts = set(manifest.parts.tolist())
    if parts == {""}:
        generator = numpy_stream(seed, 0, "test")
        test = _cut(manifest, everything, spec.test_fraction, generator, leaving=2)
    else:
        _require_parts(manifest, parts)
        test = np.flatnonzero(manifest.parts == ("test" if "test" in parts else "val"))
    if parts == {"train", "val", "test"}:
        validation = _without_duplicates(manifest, np.flatnonzero(manifest.parts == "val"), test)
    else:
        rest = _without_duplicates(manifest, np.setdiff1d(everything, test), test)
        generator = numpy_stream(seed, block, "split")
        validation = _cut(manifest, rest, spec.validation_fraction, generator, leaving=1)
    held_out = np.concatenate([test, validation])
    own = everything if parts == {""} else np.flatnonzero(manifest.parts != "test")
    candidates = np.setdiff1d(own, held_out)
    if "train" in parts:
        candidates = candidates[manifest.parts[candidates] == "train"]
    train = _without_duplicates(manifest, candidates, held_out)
    split = Split(train, np.sort(validation), np.sort(test))
    _require_all_classes(manifest, split)
    return split


def _cut(
    manifest: Manifest,
    candidates: Indices,
    fraction: float,
    generator: np.random.Generator,
    leaving: int,
) -> Indices:
    """About `fraction` of every class, whole groups at a time: at least one, `leaving` so many.

    A group may have images of several classes (one patient, all of whose images stay together): it
    counts in each of them.
    """
    groups, labels = manifest.groups[candidates], manifest.labels[candidates]
    shares = Shares(groups, labels, len(manifest.classes))
    taken: set[int] = set()
    for label, images in enumerate(shares.images):
        wanted = max(1, round(fraction * images))
        for group in generator.permutation(shares.groups_of(label)).tolist():
            if shares.taken[label] >= wanted:
                break
            if group not in taken and shares.leave(group, leaving):
                taken.add(group)
                shares.take(group)
    return candidates[np.isin(groups, list(taken))]


class Shares:
    """How many images and groups of each class are taken and left while groups are dealt."""

    def __init__(self, groups: Indices, labels: Indices, classes: int) -> None:
        """Begin with no image taken."""
        pairs, sizes = np.unique(np.stack([groups, labels], 1), axis=0, return_counts=True)
        self.images = np.bincount(labels, minlength=classes).tolist()
        self.taken = [0] * classes
        self.left = np.bincount(pairs[:, 1], minlength=classes).tolist()
        """For each class: how many of its groups are not taken yet."""
        self._sizes: dict[int, list[tuple[int, int]]] = {}
        for (group, label), size in zip(pairs.tolist(), sizes.tolist(), strict=True):
            self._sizes.setdefault(group, []).append((label, size))
        by_label = pairs[np.argsort(pairs[:, 1], kind="stable"), 0]
        self._of = np.split(by_label, np.cumsum(self.left)[:-1])

    def groups_of(self, label: int) -> Indices:
        """The groups with an image of the class, ascending."""
        return self._of[label]

    def size(self, group: int, label: int) -> int:
        """How many images of the class the group has."""
        return dict(self._sizes[group]).get(label, 0)

    def leave(self, group: int, least: int) -> bool:
        """Whether each of the group's classes has so many other groups left."""
        return all(self.left[label] > least for label, _ in self._sizes[group])

    def take(self, group: int) -> None:
        """Count the group as taken, in each of its classes."""
        for label, size in self._sizes[group]:
            self.left[label] -= 1
            self.taken[label] += size


def _without_duplicates(manifest: Manifest, candidates: Indices, held_out: Indices) -> Indices:
    """The candidates that have no duplicate among the images held out of training."""
    return candidates[~np.isin(manifest.groups[candidates], manifest.groups[held_out])]


def _require_parts(manifest: Manifest, parts: set[str]) -> None:
    if "train" not in parts or len(parts) < 2 or "" in parts:
        have = ", ".join(repr(part) for part in sorted(parts))
        raise DataError(
            f"{manifest.location} has the parts {have}; it needs train and val (or test), or no "
            "parts at all"
        )


def _require_all_classes(manifest: Manifest, split: Split) -> None:
    for name in ("train", "validation", "test"):
        counts = np.bincount(manifest.labels[getattr(split, name)], minlength=len(manifest.classes))
        for label in np.flatnonzero(counts == 0):
            own = manifest.groups[manifest.labels == label]
            photographs = len(np.unique(own))
            of = f" of {count(photographs, 'photograph')}" if photographs < len(own) else ""
            raise DataError(
                f"class {manifest.classes[label]!r} has {len(own)} images{of}, too few to be in "
                f"the {name} part too; add images, or remove the class"
            )
