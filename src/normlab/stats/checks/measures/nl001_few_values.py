"""NL001: statistics over the batch that rest on fewer than 16 values."""

from __future__ import annotations

import math
import re

from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    listed,
    not_applicable,
    passed,
)

FEWEST = 16
"""Values per channel below which mean and variance of a batch are mostly noise."""

BATCH_NORMS = ("bn", "torch-bn", "bin", "brn", "sn", "ibn")
"""The norms that use statistics over the batch; options follow after a colon."""


@check("NL001", "Batch statistics rest on enough values", severity="warning")
def few_values(study: StudyToCheck) -> Result:
    """Values a channel = batch size · (side of the smallest map)², against 16.

    The 6n+2 network (He et al. 2015, section 4.2) halves the image twice, each time rounding up:
    its smallest map has a side of ⌈image size/4⌉. Other networks are not judged here.
    """
    seen = {
        (run.spec.norm, samples, run.spec.data.image_size)
        for run in study.runs
        if (samples := samples_of_a_statistic(run.spec.norm, run.spec.batch_size))
        and is_6n_plus_2(run.spec.network.name)
    }
    if not seen:
        return not_applicable("no arm uses batch statistics")
    few = [
        f"{norm} at batch {batch_size} and {image_size} px has "
        f"{smallest_map_values(batch_size, image_size)}"
        for norm, batch_size, image_size in sorted(seen)
        if smallest_map_values(batch_size, image_size) < FEWEST
    ]
    if few:
        return finding(f"fewer than {FEWEST} values a channel in the last stage: {listed(few)}")
    fewest = min(smallest_map_values(batch_size, size) for _, batch_size, size in seen)
    return passed(f"at least {fewest} values a channel in the last stage")


def samples_of_a_statistic(norm: str, batch_size: int) -> int:
    """Images over which the norm takes its statistics; 0 where it takes none over the batch.

    >>> samples_of_a_statistic("bn:virtual_batch=8", 32), samples_of_a_statistic("gn", 32)
    (8, 0)
    """
    code, _, options = norm.removesuffix("+ws").partition(":")
    if code not in BATCH_NORMS or "frozen=true" in options.split(","):
        return 0
    virtual = re.search(r"virtual_batch=(\d+)", options)
    return min(batch_size, int(virtual[1])) if virtual else batch_size


def smallest_map_values(batch_size: int, image_size: int) -> int:
    """Values of one channel in a batch at the last stage of the 6n+2 network."""
    return batch_size * math.ceil(image_size / 4) ** 2


def is_6n_plus_2(network: str) -> bool:
    """Whether a network's name is a residual network of 6n+2 layers, such as resnet14."""
    match = re.fullmatch(r"resnet(\d+)", network)
    return match is not None and int(match[1]) % 6 == 2 and int(match[1]) >= 8
