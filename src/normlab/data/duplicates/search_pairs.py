"""Which images of a data set show the same photograph.

A copy that lies in training and in evaluation is known before it is asked for. Copies are found at
32×32 pixels in four steps: images of equal bytes or pixels are one; every image's nearest
neighbours by a descriptor that ignores rotation, mirroring and brightness are candidates
(`descriptors`, `search`); each candidate pair is laid over each other and compared (`align`); pairs
that fit are joined to groups, with a guard against chains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from normlab.data.duplicates.alignment import BLOCK, align, details
from normlab.data.duplicates.candidates import candidates
from normlab.data.duplicates.descriptors import (
    Small,
    all_spectra,
    learn_projection,
    shrink,
    textured,
)
from normlab.data.duplicates.groups import source_groups
from normlab.data.scan import Progress, no_progress

LEAST_SCORES = (0.75, 0.90)
SPREADS = (0.20, 0.08)
"""ρ from which a pair is reported, at these spreads of detail, linear between them and constant
beyond; docs/data-check.md says how they were chosen."""
LEAST_SIMILARITY = 0.6
"""Cosine of two descriptors from which a pair is compared, once there are FEW images to learn
from."""
FEW = 100
LEAST_FINE = 0.67
"""Cosine that two descriptors of the finest detail alone must have as well."""
LEAST_OVERLAP = 0.25
"""What share of the image must be seen in both."""
_UPRIGHT, _SAME_SIZE = 3.0, 1.04
"""Degrees and zoom that are not worth a word."""


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of images that show one photograph, best first, and the groups they make."""

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
    """ρ, the correlation of the detail of both laid over each other; 1 for equal pixels."""
    groups: Int[np.ndarray, " n"]
    """A number for each image, 0, 1, … in the order of the images; copies share it."""

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.pairs)

    @property
    def duplicates(self) -> int:
        """How many images show a photograph that an earlier image shows."""
        return len(self.groups) - int(self.groups.max(initial=-1)) - 1

    def relation(self, pair: int) -> str:
        """In words how the second image of a pair comes from the first.

        "exact", "re-encoded", or of "mirrored", "upside down", "rotated by 12°", "zoomed by 1.20"
        those that hold.
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
        return ", ".join(parts) or "re-encoded"


def find_duplicates(
    images: UInt8[np.ndarray, "n s s 3"], hashes: Sequence[str], progress: Progress = no_progress
) -> Duplicates:
    """Find exact and near copies among prepared squares; `hashes` are of the files' bytes.

    Found are mirror images, any rotation with or without black corners, zooms up to 1.4, windows up
    to 1.3 smaller, other encodings, sizes and brightness, and what combines them. Images are read
    in blocks. The time grows with n² only in a product of two n × 48 matrices. The result does not
    depend on the order of the images.
    """
    assert len(images) == len(hashes)
    pixels = _digests(images, progress)
    count = len(images)
    first_file, first_pixels = _first_of_each(hashes), _first_of_each(pixels)
    same = np.flatnonzero(np.minimum(first_file, first_pixels) < np.arange(count))
    first = np.where(first_file < np.arange(count), first_file, first_pixels)
    equal = np.stack([first[same], same], 1)
    exact = first_file[same] < same

    distinct = np.flatnonzero(first_pixels == np.arange(count))
    distinct = distinct[np.argsort(np.array([pixels[row] for row in distinct]), kind="stable")]
    pairs, affine, score = _near(images, distinct, progress)
    near = distinct[pairs]
    swapped = near[:, 0] > near[:, 1]
    affine = _inverted(affine)  # second from first
    affine[swapped] = _inverted(affine[swapped])
    near = np.sort(near, axis=1)
    mirrored, angle, zoom = _decomposed(affine)

    order = np.lexsort((near[:, 1], near[:, 0], -score))
    nothing = np.zeros(len(equal))
    duplicates = np.concatenate([equal, near[order]])
    return Duplicates(
        pairs=duplicates,
        exact=np.concatenate([exact, np.zeros(len(order), bool)]),
        mirrored=np.concatenate([nothing > 0, mirrored[order]]),
        angle=np.concatenate([nothing, angle[order]]),
        zoom=np.concatenate([nothing + 1, zoom[order]]),
        score=np.concatenate([nothing + 1, score[order]]),
        groups=source_groups(count, equal, near[order], score[order]),
    )


def _near(
    images: UInt8[np.ndarray, "n s s 3"], distinct: Int[np.ndarray, " d"], progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of positions in `distinct`, source coordinates from target coordinates, and scores."""
    empty = np.zeros((0, 2), np.int64), np.zeros((0, 2, 3)), np.zeros(0)
    if len(distinct) < 2:
        return empty
    small = shrink(images, distinct, progress)
    seen = textured(small).numpy()
    if seen.sum() < 2:
        return empty
    rows = torch.from_numpy(np.flatnonzero(seen))
    small = Small(small.pixels[rows], small.valid[rows])
    spectrum = all_spectra(small)
    least = LEAST_SIMILARITY if len(rows) >= FEW else -1.0
    found = candidates(spectrum, learn_projection(small, spectrum), least, progress)
    if not len(found.source):
        return empty
    luminance = spectrum[:, 0].clone()
    del spectrum
    detail = details(small)
    del small
    results = []
    total = len(found.source)
    for start in range(0, total, BLOCK):
        block = slice(start, start + BLOCK)
        source, target = found.source[block], found.target[block]
        results.append(align(detail, luminance, source, target, found.skip[block]))
        progress("comparing", min(start + BLOCK, total), total)
    score = torch.cat([result.score for result in results])
    overlap = torch.cat([result.overlap for result in results])
    affine = torch.cat([result.affine for result in results])
    spread = torch.cat([result.spread for result in results])
    fine = torch.cat([result.fine for result in results])
    good = (score >= _least_score(spread)) & (fine >= LEAST_FINE) & (overlap >= LEAST_OVERLAP)
    pairs = torch.stack([rows[found.source[good]], rows[found.target[good]]], 1)
    return pairs.numpy(), affine[good].double().numpy(), score[good].double().numpy()


def _least_score(spread: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    part = ((SPREADS[0] - spread) / (SPREADS[0] - SPREADS[1])).clamp(0, 1)
    return LEAST_SCORES[0] + (LEAST_SCORES[1] - LEAST_SCORES[0]) * part


def _digests(images: UInt8[np.ndarray, "n s s 3"], progress: Progress) -> list[bytes]:
    digests = []
    for row, image in enumerate(images):
        digests.append(hashlib.blake2b(image.tobytes(), digest_size=16).digest())
        if row % 1024 == 0:
            progress("hashing", row, len(images))
    return digests


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
