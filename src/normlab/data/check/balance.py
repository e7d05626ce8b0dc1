"""How many images each class has, and of which size and colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, UInt8

from normlab.data.check.finding import percent, some, standing_out
from normlab.data.scan import Manifest
from normlab.records.data_report import Evidence, Finding

UNEVEN = 3.0
"""Largest class over smallest from which accuracy rewards the large ones."""
FEW = 50
"""Images below which a class says little about training from scratch."""
GREY = 2.0
"""Mean distance of the channels, in levels, below which a picture has no colour."""


def balance_findings(manifest: Manifest, images: UInt8[np.ndarray, "n s s 3"]) -> Iterator[Finding]:
    """DC030 … DC033: uneven classes, small classes, mixed resolutions, grey classes."""
    counts = np.bincount(manifest.labels, minlength=len(manifest.classes))
    names = np.array(manifest.classes)
    if counts.max() > UNEVEN * counts.min():
        yield Finding(
            code="DC030",
            title="uneven classes",
            severity="warning",
            count=len(counts),
            message=f"The largest class, {names[counts.argmax()]}, has {counts.max():,} images, "
            f"the smallest, {names[counts.argmin()]}, {counts.min():,}.",
            remedy="Judge by macro F1, or even the classes out.",
        )
    small = np.flatnonzero(counts < FEW)
    if len(small):
        yield Finding(
            code="DC031",
            title="small classes",
            severity="note",
            count=len(small),
            message=f"{len(small)} of {len(counts)} classes have fewer than {FEW} images: "
            f"{some([f'{names[k]} ({counts[k]})' for k in small])}.",
            remedy="Add images; differences between arms will be hard to see in these classes.",
        )
    yield from _mixed_resolution(manifest)
    grey = without_colour(images)
    shares = np.bincount(manifest.labels[grey], minlength=len(counts)) / np.maximum(counts, 1)
    odd = standing_out(shares, least=0.3)
    if len(odd):
        yield Finding(
            code="DC033",
            title="classes without colour",
            severity="warning",
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


def _mixed_resolution(manifest: Manifest) -> Iterator[Finding]:
    sides = np.minimum(manifest.widths, manifest.heights)
    medians = {
        name: float(np.median(sides[manifest.labels == label]))
        for label, name in enumerate(manifest.classes)
    }
    low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    if medians[high] >= 2 * medians[low]:
        yield Finding(
            code="DC032",
            title="classes of different resolution",
            severity="warning",
            count=len(medians),
            message=f"The shorter side is {medians[high]:.0f} px (median) in {high} and "
            f"{medians[low]:.0f} px in {low}: after scaling, sharpness gives them away.",
            remedy="Scale all images to the smaller resolution first.",
        )
