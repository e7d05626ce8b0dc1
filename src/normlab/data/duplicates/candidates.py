"""Which pairs are worth a closer look: the nearest descriptors of each image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from normlab.data.duplicates.index import Nearest
from normlab.data.scan import Progress, no_progress

NEIGHBOURS = 8
"""Candidates that an image keeps."""
_STEP = 8192


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs where the source, in one of several views of it, looks like the target."""

    source: Int[Tensor, " c"]
    target: Int[Tensor, " c"]
    view: Int[Tensor, " c"]
    """The number of the view."""


def best_pairs(
    views: Iterable[Float[Tensor, "n d"]],
    number: int,
    nearest: Nearest,
    least: float,
    progress: Progress = no_progress,
) -> Candidates:
    """Of each image the nearest to any of its `number` views; a pair only once."""
    parts = []
    count = 0
    for view, query in enumerate(views):
        count = len(query)
        for first in range(0, count, _STEP):
            value, column = nearest(query[first : first + _STEP], first)
            rows = torch.arange(first, first + len(value))
            good = value > least
            source = rows[:, None].expand_as(column)[good]
            parts.append((source, column[good], torch.full_like(source, view), value[good]))
            progress("searching", view * count + first + len(value), number * count)
    source, target, chosen_view, value = (torch.cat(part) for part in zip(*parts, strict=True))
    order = torch.argsort(value, descending=True, stable=True)
    source, target, chosen_view = source[order], target[order], chosen_view[order]
    pair = torch.minimum(source, target) * count + torch.maximum(source, target)
    chosen = _first(pair)
    chosen = chosen[_among_best(source[chosen], target[chosen], count)]
    return Candidates(source[chosen], target[chosen], chosen_view[chosen])


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
