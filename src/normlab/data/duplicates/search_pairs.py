"""Which images of a data set show the same photograph.

A copy that lies in training and in evaluation is known before it is asked for. Copies are found in
five steps: images of equal bytes or pixels are one; every image's nearest neighbours by a
descriptor that ignores rotation, mirroring and brightness, and by one of upright windows, are
candidates (`descriptors`, `windows`, `candidates`); each candidate pair is laid over each other at
32×32 pixels (`alignment`, `proposals`); pairs that fit roughly are compared window by window at
64×64 (`verification`), and called duplicates or look-alikes (`decision`); duplicates are joined to
groups, with a guard against chains (`groups`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from normlab.data.duplicates.decision import duplicate_pairs
from normlab.data.duplicates.descriptors import shrink
from normlab.data.duplicates.groups import source_groups
from normlab.data.duplicates.proposals import Proposals, first_proposals, proposals
from normlab.data.duplicates.shapes import PIXELS, Shapes, shapes_of
from normlab.data.duplicates.verification import verify
from normlab.data.scan import Progress, no_progress, told

LOOK_ALIKE = 0.5
"""The score from which a pair is shown as a look-alike, beside what the first version listed."""
_UPRIGHT, _SAME_SIZE = 3.0, 1.04
"""Degrees and zoom that are not worth a word."""


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of images that show one photograph or look alike, best first, and their groups."""

    pairs: Int[np.ndarray, "k 2"]
    """Image numbers; the second is the first, mirrored, then rotated, then zoomed."""
    exact: Bool[np.ndarray, " k"]
    """The files' bytes are the same."""
    mirrored: Bool[np.ndarray, " k"]
    """Left and right are exchanged."""
    angle: Float[np.ndarray, " k"]
    """Degrees anticlockwise, −180 to 180."""
    zoom: Float[np.ndarray, " k"]
    """Above 1 the second shows the first larger."""
    score: Float[np.ndarray, " k"]
    """How far both agree everywhere, 0 to 1 (`Verification.score`); 1 for equal pixels."""
    affine: Float[np.ndarray, "k 2 3"]
    """Coordinates in the second image from those in the first, in half sides from the centre."""
    certain: Bool[np.ndarray, " k"]
    """True for a duplicate, false for a look-alike."""
    groups: Int[np.ndarray, " n"]
    """A number for each image, 0, 1, … in the order of the images; duplicates share it."""

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.pairs)

    @property
    def duplicates(self) -> int:
        """How many images show a photograph that an earlier image shows."""
        return len(self.groups) - int(self.groups.max(initial=-1)) - 1

    def name(self, pair: int) -> str:
        """What a pair is called: "duplicate", or "look-alike"."""
        return "duplicate" if self.certain[pair] else "look-alike"

    def relation(self, pair: int) -> str:
        """In words how the second image of a pair comes from the first.

        "exact", "re-encoded", or of "mirrored", "upside down", "rotated by 12°", "zoomed by 1.20"
        those that hold. Of a look-alike, which is not known to come from the other at all, it is
        how both were laid over each other: "most alike when mirrored", "alike as they are".
        """
        if self.exact[pair]:
            return "exact"
        parts, angle, zoom = [], float(self.angle[pair]), float(self.zoom[pair])
        if self.mirrored[pair] and abs(angle) > 180 - _UPRIGHT:
            parts.append("upside down")
        else:
            parts += ["mirrored"] * bool(self.mirrored[pair])
            parts += [f"rotated by {angle:.0f}°"] * (abs(angle) > _UPRIGHT)
        if max(zoom, 1 / zoom) > _SAME_SIZE:
            parts.append(f"zoomed by {zoom:.2f}")
        text = ", ".join(parts)
        if self.certain[pair]:
            return text or "re-encoded"
        return f"most alike when {text}" if text else "alike as they are"


def find_duplicates(
    images: UInt8[np.ndarray, "n s s 3"],
    hashes: Sequence[str],
    progress: Progress = no_progress,
    sizes: Int[np.ndarray, "n 2"] | None = None,
) -> Duplicates:
    """Find duplicates and look-alikes among prepared squares; `hashes` are of the files' bytes.

    Found are mirror images, any rotation with or without black corners, zooms up to 1.4, windows up
    to 1.3 smaller, other encodings, sizes and brightness, and what combines them. Images are read
    in blocks. The result does not depend on the order of the images.

    Args:
        images: squares, to which the pictures were squashed.
        hashes: of the files' bytes.
        progress: is told what is being done.
        sizes: widths and heights of the pictures; without them, squares of 128 pixels.
    """
    equal = _equal(images, hashes, progress)
    near = _near(images, equal.distinct, sizes, progress)
    return _joined(len(images), equal.pairs, equal.exact, near.at(equal.distinct))


def find_near_duplicates(
    images: UInt8[np.ndarray, "n s s 3"], hashes: Sequence[str], progress: Progress = no_progress
) -> Duplicates:
    """What `find_duplicates` found in its first version, without verification; the score is ρ.

    Studies that were frozen with these groups are continued with them.
    """
    equal = _equal(images, hashes, progress)
    near = _near_of_first_version(images, equal.distinct, progress)
    return _joined(len(images), equal.pairs, equal.exact, near.at(equal.distinct))


def exact_duplicates(hashes: Sequence[str]) -> Duplicates:
    """Files of equal bytes alone."""
    first = _first_of_each(hashes)
    same = np.flatnonzero(first < np.arange(len(hashes)))
    exact = np.ones(len(same), bool)
    return _joined(len(hashes), np.stack([first[same], same], 1), exact, _nothing())


@dataclass(frozen=True, eq=False)
class _Near:
    """Pairs that are not equal."""

    pairs: Int[np.ndarray, "k 2"]
    """Source and target."""
    affine: Float[np.ndarray, "k 2 3"]
    """Source coordinates from target coordinates."""
    score: Float[np.ndarray, " k"]
    certain: Bool[np.ndarray, " k"]

    def at(self, distinct: Int[np.ndarray, " d"]) -> _Near:
        """The same of images, from positions among those that are compared."""
        return _Near(distinct[self.pairs], self.affine, self.score, self.certain)


@dataclass(frozen=True, eq=False)
class _Equal:
    """Images of equal bytes or pixels."""

    pairs: Int[np.ndarray, "e 2"]
    """Each with the first that equals it."""
    exact: Bool[np.ndarray, " e"]
    distinct: Int[np.ndarray, " d"]
    """The first of each, in an order that depends on the pixels alone."""


def _equal(
    images: UInt8[np.ndarray, "n s s 3"], hashes: Sequence[str], progress: Progress
) -> _Equal:
    assert len(images) == len(hashes)
    pixels = _digests(images, progress)
    count = len(images)
    first_file, first_pixels = _first_of_each(hashes), _first_of_each(pixels)
    same = np.flatnonzero(np.minimum(first_file, first_pixels) < np.arange(count))
    first = np.where(first_file < np.arange(count), first_file, first_pixels)
    distinct = np.flatnonzero(first_pixels == np.arange(count))
    distinct = distinct[np.argsort(np.array([pixels[row] for row in distinct]), kind="stable")]
    return _Equal(np.stack([first[same], same], 1), first_file[same] < same, distinct)


def _joined(
    count: int, equal: Int[np.ndarray, "e 2"], exact: Bool[np.ndarray, " e"], near: _Near
) -> Duplicates:
    """All pairs, best first, and the groups of those that are certain."""
    swapped = near.pairs[:, 0] > near.pairs[:, 1]
    affine = _inverted(near.affine)  # second from first
    affine[swapped] = _inverted(affine[swapped])
    pairs = np.sort(near.pairs, axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -near.score, ~near.certain))
    mirrored, angle, zoom = _decomposed(affine[order])
    nothing, still = np.zeros(len(equal)), np.tile(np.eye(2, 3), (len(equal), 1, 1))
    certain = near.certain[order]
    return Duplicates(
        pairs=np.concatenate([equal, pairs[order]]),
        exact=np.concatenate([exact, np.zeros(len(order), bool)]),
        mirrored=np.concatenate([nothing > 0, mirrored]),
        angle=np.concatenate([nothing, angle]),
        zoom=np.concatenate([nothing + 1, zoom]),
        score=np.concatenate([nothing + 1, near.score[order]]),
        affine=np.concatenate([still, affine[order]]),
        certain=np.concatenate([nothing == 0, certain]),
        groups=source_groups(count, equal, pairs[order][certain], near.score[order][certain]),
    )


def _near(
    images: UInt8[np.ndarray, "n s s 3"],
    distinct: Int[np.ndarray, " d"],
    sizes: Int[np.ndarray, "n 2"] | None,
    progress: Progress,
) -> _Near:
    """Pairs of positions in `distinct`: duplicates and look-alikes."""
    if len(distinct) < 2:
        return _nothing()
    if sizes is None:
        sizes = np.full((len(images), 2), PIXELS)
    shapes = shapes_of(sizes[distinct])
    small = shrink(images, distinct, progress)
    found = proposals((images, distinct), small, shapes, progress)
    if not len(found.source):
        return _nothing()
    return _verified((images, distinct), small.valid, shapes, found, progress)


def _near_of_first_version(
    images: UInt8[np.ndarray, "n s s 3"], distinct: Int[np.ndarray, " d"], progress: Progress
) -> _Near:
    if len(distinct) < 2:
        return _nothing()
    found = first_proposals(shrink(images, distinct, progress), progress)
    return _Near(
        torch.stack([found.source, found.target], 1).numpy(),
        found.affine.double().numpy(),
        found.score.double().numpy(),
        np.ones(len(found.source), bool),
    )


def _nothing() -> _Near:
    return _Near(np.zeros((0, 2), np.int64), np.zeros((0, 2, 3)), np.zeros(0), np.zeros(0, bool))


def _verified(
    images: tuple[UInt8[np.ndarray, "n s s 3"], Int[np.ndarray, " d"]],
    valid: Bool[Tensor, "d h w"],
    shapes: Shapes,
    proposed: Proposals,
    progress: Progress,
) -> _Near:
    """Duplicates and look-alikes, each pair as it fits best; what is neither is left out."""
    pairs = proposed.source, proposed.target
    found = verify(images, valid, shapes, *pairs, proposed.affine, progress)
    both = torch.stack(pairs, 1).numpy()
    order = np.argsort(found.worst.numpy(), kind="stable")
    _, first, own = np.unique(
        np.sort(both[order], axis=1), axis=0, return_index=True, return_inverse=True
    )
    near = np.bincount(own.ravel(), proposed.near.numpy()[order]) > 0  # by any of its fits
    best = order[first]
    worst, agreement, detail, score = (
        part.double().numpy()[best]
        for part in (found.worst, found.agreement, found.detail, found.score)
    )
    certain = duplicate_pairs(worst, agreement, detail, both[best])
    shown = certain | near | (score >= LOOK_ALIKE)
    return _Near(
        both[best][shown],
        found.affine.double().numpy()[best][shown],
        score[shown],
        certain[shown],
    )


def _digests(images: UInt8[np.ndarray, "n s s 3"], progress: Progress) -> list[bytes]:
    digests = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
    return list(told(digests, "hashing", len(images), progress, every=1024))


def _first_of_each(keys: Sequence[object]) -> Int[np.ndarray, " n"]:
    """For each key the number of the first that equals it."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(key, row) for row, key in enumerate(keys)], np.int64)


def _inverted(affine: Float[np.ndarray, "k 2 3"]) -> Float[np.ndarray, "k 2 3"]:
    inverse = np.linalg.inv(affine[:, :, :2])
    return np.concatenate([inverse, -inverse @ affine[:, :, 2:]], 2)


def _decomposed(
    affine: Float[np.ndarray, "k 2 3"],
) -> tuple[Bool[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Mirrored left to right, then rotated anticlockwise by degrees, then zoomed."""
    area = np.linalg.det(affine[:, :, :2])
    matrix = affine[:, :, :2] * np.where(area < 0, -1.0, 1.0)[:, None, None] ** [[1, 0], [1, 0]]
    turn = np.arctan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    return area < 0, -np.degrees(turn), np.sqrt(np.abs(area))  # y points down: turns are clockwise
