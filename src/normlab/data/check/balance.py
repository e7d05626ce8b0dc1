"""How many images each class has, and of which size and colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, UInt8

from normlab.data.check.base import DataToCheck, Found, check
from normlab.data.check.finding import percent, some, standing_out
from normlab.data.scan import Manifest
from normlab.records.data_report import Evidence

UNEVEN = 3.0
"""Largest class over smallest from which accuracy rewards the large ones."""
FEW = 50
"""Images below which a class says little about training from scratch."""
GREY = 2.0
"""Mean distance of the channels, in levels, below which a picture has no colour."""


@check("DC030", "uneven classes", severity="warning", short=True)
def uneven_classes(data: DataToCheck) -> Iterator[Found]:
    """The images of the largest class against those of the smallest."""
    counts, names = _counts(data.manifest), np.array(data.manifest.classes)
    if counts.max() > UNEVEN * counts.min():
        yield Found(
            count=len(counts),
            message=f"The largest class, {names[counts.argmax()]}, has {counts.max():,} images, "
            f"the smallest, {names[counts.argmin()]}, {counts.min():,}.",
            remedy="Judge by macro F1, or even the classes out.",
        )


@check("DC031", "small classes", severity="note", short=True)
def small_classes(data: DataToCheck) -> Iterator[Found]:
    """Classes with fewer than 50 images."""
    counts, names = _counts(data.manifest), np.array(data.manifest.classes)
    small = np.flatnonzero(counts < FEW)
    if len(small):
        yield Found(
            count=len(small),
            message=f"{len(small)} of {len(counts)} classes have fewer than {FEW} images: "
            f"{some([f'{names[k]} ({counts[k]})' for k in small])}.",
            remedy="Add images; differences between arms will be hard to see in these classes.",
        )


@check("DC033", "classes without colour", severity="warning", short=True)
def classes_without_colour(data: DataToCheck) -> Iterator[Found]:
    """Grey pictures that are common in some classes and rare in the others."""
    manifest, counts = data.manifest, _counts(data.manifest)
    names = np.array(manifest.classes)
    grey = without_colour(data.images)
    shares = np.bincount(manifest.labels[grey], minlength=len(counts)) / np.maximum(counts, 1)
    odd = standing_out(shares, least=0.3)
    if len(odd):
        yield Found(
            count=len(odd),
            message="Grey pictures are common in "
            + some([f"{names[k]} ({percent(shares[k])})" for k in odd])
            + " and rare in the others.",
            remedy="Make all pictures grey, or replace these: colour gives the class away.",
            evidence=tuple(
                Evidence(
                    names=tuple(str(n) for n in manifest.names[grey & (manifest.labels == k)][:6]),
                    caption=str(names[k]),
                )
                for k in odd[:6]
            ),
        )


def without_colour(images: UInt8[np.ndarray, "n s s 3"]) -> Bool[np.ndarray, " n"]:
    """Whether a picture's channels are (nearly) the same."""
    found = np.zeros(len(images), bool)
    for first in range(0, len(images), 2048):
        block = images[first : first + 2048].astype(np.int16)
        found[first : first + len(block)] = np.ptp(block, axis=3).mean((1, 2)) < GREY
    return found


def size_text(manifest: Manifest) -> str:
    """The sizes of the images in words."""
    width, height = manifest.widths, manifest.heights
    sizes, counts = np.unique(np.stack([width, height], axis=1), axis=0, return_counts=True)
    if len(sizes) == 1:
        return f"all {width[0]}×{height[0]} px"
    common = sizes[counts.argmax()]
    sides = np.minimum(width, height)
    low, middle, high = (int(value) for value in np.percentile(sides, [0, 50, 100]))
    return (
        f"{len(sizes)} sizes, most often {common[0]}×{common[1]} "
        f"({percent(counts.max() / len(width))}); shorter side {low} to {high} px, median {middle}"
    )


def _counts(manifest: Manifest) -> Int[np.ndarray, " classes"]:
    """The images of each class."""
    counts: Int[np.ndarray, " classes"] = np.bincount(
        manifest.labels, minlength=len(manifest.classes)
    )
    return counts


@check("DC032", "classes of different resolution", severity="warning", short=True)
def mixed_resolution(data: DataToCheck) -> Iterator[Found]:
    """The median side of the images of each class."""
    manifest = data.manifest
    sides = np.minimum(manifest.widths, manifest.heights)
    medians = {
        name: float(np.median(sides[manifest.labels == label]))
        for label, name in enumerate(manifest.classes)
    }
    low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    if medians[high] >= 2 * medians[low]:
        yield Found(
            count=len(medians),
            message=f"The shorter side is {medians[high]:.0f} px (median) in {high} and "
            f"{medians[low]:.0f} px in {low}: after scaling, sharpness gives them away.",
            remedy="Scale all images to the smaller resolution first.",
        )
