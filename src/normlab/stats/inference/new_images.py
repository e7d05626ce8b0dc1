"""Claim (b): would the difference hold on new images of this kind too?

Blocks say how far new trainings would stray on *these* test images, claim (a). With the
correctness of every image in every run, blocks and images are two crossed random factors:

    d[b, i] = correct_A − correct_B = δ + block[b] + image[i] + e[b, i]
    Var(d̄) ≈ SE²(blocks) + SE²(images) − σ²_e/(B·I) = (MS_B + MS_I − MS_E)/(B·I)

The interval is Student's t with the larger of two quantiles: with Satterthwaite's degrees of
freedom, and Cochran's mean of the quantiles of blocks and images, weighted by their shares of the
variance. By normal errors Satterthwaite's alone is too short where few blocks matter (3 blocks:
92.5 % instead of 95), Cochran's alone where images matter little (91.2 %); the larger one holds
93.2 to 97.8 % with 3 blocks, 94.7 to 97.4 % with 5. Blocks alone would cover new images in 80 to
94 %. Images that belong together (copies, one animal, one patient) are one unit: mean squares
are then over the means of groups. Taken as independent they covered 70 to 90 %.

Sources: Satterthwaite 1946; Cochran 1964, "Approximate significance levels of the Behrens–Fisher
test"; Clark 1973 for two crossed random factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from normlab.stats.data.layout import Layout
from normlab.stats.data.reading import usable_predictions
from normlab.stats.inference.intervals import Interval, t_quantile

Correct = Mapping[tuple[str, int], Bool[np.ndarray, " images"]]
"""Arm and block → which test images the run got right, in one order for all."""


@dataclass(frozen=True)
class ImageClaim:
    """The difference of two arms in accuracy, for new trainings and new images."""

    mean: float
    interval: Interval
    df: float
    """Satterthwaite's."""
    error_blocks: float
    """Standard error from blocks alone: of claim (a)."""
    error_images: float
    """Standard error from images alone."""


def image_claim(
    difference: Float[np.ndarray, "blocks images"],
    alpha: float = 0.05,
    groups: Int[np.ndarray, " images"] | None = None,
) -> ImageClaim | None:
    """The interval for new images; None below two blocks or two images, or without any variation.

    `difference` holds correct_A − correct_B: −1, 0 or 1 for each block and image. With `groups`
    (one number an image) every group of images is one unit, and I the number of groups.
    """
    if groups is not None:
        difference = group_means(difference, groups)
    blocks, images = difference.shape
    if blocks < 2 or images < 2:
        return None
    by_block, by_image = difference.mean(1), difference.mean(0)
    mean = float(difference.mean())
    ms_block = images * float(by_block.var(ddof=1))
    ms_image = blocks * float(by_image.var(ddof=1))
    total = float(((difference - mean) ** 2).sum())
    df_block, df_image = blocks - 1, images - 1
    df_rest = df_block * df_image
    ms_rest = max(total - ms_block * df_block - ms_image * df_image, 0.0) / df_rest
    size = blocks * images
    # A component whose estimate is negative is none: what is left is never below the residual.
    variance = max(ms_block + ms_image - ms_rest, ms_rest) / size
    if variance <= 0:
        return None
    df = (variance * size) ** 2 / (
        ms_block**2 / df_block + ms_image**2 / df_image + ms_rest**2 / df_rest
    )
    weight = max(ms_block - ms_rest, 0.0) / (max(ms_block - ms_rest, 0.0) + ms_image or 1.0)
    by_blocks, by_images, by_both = (
        t_quantile(1 - alpha / 2, each) for each in (df_block, df_image, df)
    )
    quantile = max(by_both, weight * by_blocks + (1 - weight) * by_images)
    half_width = quantile * math.sqrt(variance)
    return ImageClaim(
        mean=mean,
        interval=Interval(mean - half_width, mean + half_width, 1 - alpha),
        df=df,
        error_blocks=math.sqrt(ms_block / size),
        error_images=math.sqrt(ms_image / size),
    )


def group_means(
    difference: Float[np.ndarray, "blocks images"], groups: Int[np.ndarray, " images"]
) -> Float[np.ndarray, "blocks groups"]:
    """One value a block and group, whose mean over groups is that over images.

    y[b, g] = d + (m_g/m)·(d[b, g] − d): d the mean of all, d[b, g] that of group g in block b,
    which has m_g images, m of them on average.
    """
    _, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.size == groups.size:
        return difference
    sums = np.zeros((difference.shape[0], sizes.size))
    np.add.at(sums.T, codes, difference.T)
    mean = difference.mean()
    values: Float[np.ndarray, "blocks groups"] = mean + (sums - sizes * mean) / sizes.mean()
    return values


def read_groups(layout: Layout) -> Int[np.ndarray, " images"] | None:
    """The groups of the test images, in the order of `read_correct`; None where no record says."""
    for arm in layout.arms:
        for block in layout.blocks:
            record = layout.record(arm, block)
            if record is None or record.outcome is None or record.outcome.test is None:
                continue
            found = usable_predictions(record)
            if found is not None:
                return found.groups
    return None


def read_correct(layout: Layout) -> Correct:
    """The correctness of every image in every run of a setting that has predictions.

    Runs whose images are not those of the first run read (changed data) are left out.
    """
    correct: dict[tuple[str, int], Bool[np.ndarray, " images"]] = {}
    ids: np.ndarray | None = None
    for arm in layout.arms:
        for block in layout.blocks:
            record = layout.record(arm, block)
            if record is None or record.outcome is None or record.outcome.test is None:
                continue
            found = usable_predictions(record)
            if found is None or (ids is not None and not np.array_equal(ids, found.ids)):
                continue
            ids = found.ids
            correct[arm, block] = found.probabilities.argmax(1) == found.labels
    return correct


def claim_of(
    correct: Correct,
    arm: str,
    other: str,
    blocks: tuple[int, ...],
    alpha: float,
    groups: Int[np.ndarray, " images"] | None = None,
) -> ImageClaim | None:
    """The claim for two arms over the blocks in which both have predictions."""
    common = [b for b in blocks if (arm, b) in correct and (other, b) in correct]
    if len(common) < 2:
        return None
    rows = [correct[arm, b].astype(float) - correct[other, b] for b in common]
    return image_claim(np.array(rows), alpha, groups)
