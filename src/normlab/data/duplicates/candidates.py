"""Which pairs are worth a closer look: the nearest descriptors of each image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from normlab.data.duplicates.descriptors import ZOOMS, Projection
from normlab.data.scan import Progress, no_progress

NEIGHBOURS = 8
"""Candidates that an image keeps."""
_BLOCK = 512
_RUN = 64


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs where the source, zoomed in by `skip` rows, looks like the target."""

    source: Int[Tensor, " c"]
    target: Int[Tensor, " c"]
    skip: Int[Tensor, " c"]


def candidates(
    spectrum: Tensor, projection: Projection, least: float, progress: Progress = no_progress
) -> Candidates:
    """Of each image the nearest by cosine similarity at any zoom; a pair only once."""
    base = projection(spectrum, 0)
    count = len(base)
    keep = min(NEIGHBOURS, count - 1)
    columns = F.pad(base, (0, 0, 0, -count % _RUN)).T.contiguous()
    similar = torch.empty(_BLOCK, columns.shape[1])
    parts = []
    for skip in ZOOMS:
        query = base if skip == 0 else projection(spectrum, skip)
        for first in range(0, count, _BLOCK):
            rows = torch.arange(first, min(first + _BLOCK, count))
            near = torch.mm(query[rows], columns, out=similar[: len(rows)])
            near[torch.arange(len(rows)), rows] = -2
            near[:, count:] = -2
            value, column = _largest(near, keep)
            good = value > least
            source = rows[:, None].expand_as(column)[good]
            parts.append((source, column[good], torch.full_like(source, skip), value[good]))
            progress("searching", skip * count + int(rows[-1]) + 1, len(ZOOMS) * count)
    source, target, skips, value = (torch.cat(part) for part in zip(*parts, strict=True))
    order = torch.argsort(value, descending=True, stable=True)
    source, target, skips = source[order], target[order], skips[order]
    pair = torch.minimum(source, target) * count + torch.maximum(source, target)
    chosen = _first(pair)
    chosen = chosen[_among_best(source[chosen], target[chosen], count)]
    return Candidates(source[chosen], target[chosen], skips[chosen])


def _largest(values: Float[Tensor, "b n"], keep: int) -> tuple[Tensor, Tensor]:
    """`topk` along rows, faster: n is a multiple of _RUN.

    The largest `keep` values lie in the `keep` runs of columns with the largest maxima.
    """
    runs = values.unflatten(1, (-1, _RUN))
    best = runs.amax(2).topk(min(keep, runs.shape[1]), dim=1).indices.sort(1).values
    inside = runs.gather(1, best[..., None].expand(-1, -1, _RUN)).flatten(1)
    value, place = inside.topk(keep, dim=1)
    return value, best.gather(1, place // _RUN) * _RUN + place % _RUN


def _first(keys: Int[Tensor, " c"]) -> Int[Tensor, " d"]:
    """Where each distinct key stands first, in this order."""
    unique, inverse = torch.unique(keys, return_inverse=True)
    place = torch.full((len(unique),), len(keys), dtype=torch.long)
    place.scatter_reduce_(0, inverse, torch.arange(len(keys)), "amin")
    return place.sort().values


def _among_best(source: Tensor, target: Tensor, count: int) -> Tensor:
    """Of pairs in their order those that are among the first NEIGHBOURS of either image."""
    members = torch.stack([source, target], 1).flatten()
    order = torch.argsort(members, stable=True)
    before = torch.bincount(members, minlength=count).cumsum(0).roll(1)
    before[0] = 0
    rank = torch.empty_like(members)
    rank[order] = torch.arange(len(members)) - before[members[order]]
    best = rank.unflatten(0, (-1, 2)).amin(1) < NEIGHBOURS
    return torch.nonzero(best)[:, 0]
