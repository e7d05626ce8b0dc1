"""Which pairs are worth a closer look: the nearest descriptors of each image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from normlab.data.check.descriptors import ZOOMS, Projection

NEIGHBOURS = 8
"""Candidates that an image keeps."""
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs where the source, zoomed in by `skip` rows, looks like the target."""

    source: Int[Tensor, " c"]
    target: Int[Tensor, " c"]
    skip: Int[Tensor, " c"]
    similarity: Float[Tensor, " c"]


def candidates(spectrum: Tensor, projection: Projection, least: float) -> Candidates:
    """Of each image the nearest by cosine similarity at any zoom; a pair only once."""
    base = projection(spectrum, 0)
    count = len(base)
    keep = min(NEIGHBOURS, count - 1)
    parts = []
    for skip in ZOOMS:
        query = base if skip == 0 else projection(spectrum, skip)
        for first in range(0, count, _BLOCK):
            rows = torch.arange(first, min(first + _BLOCK, count))
            near = query[rows] @ base.T
            near[torch.arange(len(rows)), rows] = -2
            value, column = near.topk(keep, dim=1)
            good = value > least
            source = rows[:, None].expand_as(column)[good]
            parts.append((source, column[good], torch.full_like(source, skip), value[good]))
    source, target, skips, value = (torch.cat(part) for part in zip(*parts, strict=True))
    low, high = torch.minimum(source, target), torch.maximum(source, target)
    # best first; of equal ones the smallest numbers, so that the order of the work plays no part
    order = torch.argsort(value, descending=True, stable=True)
    _, first_seen = _first(low[order] * count + high[order])
    chosen = order[first_seen]
    return Candidates(source[chosen], target[chosen], skips[chosen], value[chosen])


def _first(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct keys, and where each stands first."""
    unique, inverse = torch.unique(keys, return_inverse=True)
    place = torch.full((len(unique),), len(keys), dtype=torch.long)
    place.scatter_reduce_(0, inverse, torch.arange(len(keys)), "amin")
    return unique, place
