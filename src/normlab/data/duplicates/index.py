"""The nearest descriptors: all of them compared for thousands of images, some for more.

Beyond EXACT images the descriptors are divided into cells around centres (k-means; an inverted
file, Jégou, Douze & Schmid 2011, IEEE TPAMI 33(1), section IV), √n and more of them, and a query is
compared with the members of the PROBES nearest cells alone: n^1.5 multiplications, not n².
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from normlab.norms.fused.cpu.build import PAIRS
from normlab.norms.fused.cpu.loader import has_operators

EXACT = 20_000
"""Images up to which every descriptor is compared with every other one."""
PROBES = 12
_BLOCK = 512
_RUN = 64
_CHUNK = 32_768
_ROUNDS = 6
_TILE, _CELL = 16, 256
"""Of the kernel: descriptors that are multiplied at once, and those that stay in the cache."""
_SAMPLE = 48
"""Descriptors for each centre that k-means learns from."""

Found = tuple[Float[Tensor, "q k"], Int[Tensor, "q k"]]
Nearest = Callable[[Tensor, int], Found]
"""nearest(queries, first): of queries that are images first, first + 1, …, the most similar other
images: cosines and numbers; −2 where there are fewer."""


def nearest_by(base: Float[Tensor, "n d"], keep: int, *, exact: bool = False) -> Nearest:
    """The search among these descriptors of length 1, of which each query keeps `keep`."""
    keep = min(keep, len(base) - 1)
    everything = exact or len(base) <= EXACT
    if has_operators(PAIRS):
        return _Compiled(base, keep, None if everything else _cells_of(base))
    return _Everything(base, keep) if everything else _Cells(base, keep, *_cells_of(base))


class _Everything:
    """All products, in blocks."""

    def __init__(self, base: Tensor, keep: int) -> None:
        self._count, self._keep = len(base), keep
        self._columns = F.pad(base, (0, 0, 0, -len(base) % _RUN)).T.contiguous()
        self._similar = torch.empty(_BLOCK, self._columns.shape[1])

    def __call__(self, queries: Tensor, first: int) -> Found:
        found = [
            self._block(queries[start : start + _BLOCK], first + start)
            for start in range(0, len(queries), _BLOCK)
        ]
        return torch.cat([value for value, _ in found]), torch.cat([place for _, place in found])

    def _block(self, queries: Tensor, first: int) -> Found:
        rows = torch.arange(len(queries))
        near = torch.mm(queries, self._columns, out=self._similar[: len(rows)])
        near[rows, first + rows] = -2
        near[:, self._count :] = -2
        return _largest(near, self._keep)


class _Cells:
    """The members of the nearest cells."""

    def __init__(self, base: Tensor, keep: int, centres: Tensor, own: Tensor) -> None:
        self._keep, self._centres = keep, centres
        self._members = torch.argsort(own, stable=True)
        self._base = base[self._members]
        ends = torch.bincount(own, minlength=len(self._centres)).cumsum(0)
        self._ends = [0, *ends.tolist()]

    def __call__(self, queries: Tensor, first: int) -> Found:
        parts = [
            self._chunk(queries[start : start + _CHUNK], first + start)
            for start in range(0, len(queries), _CHUNK)
        ]
        return torch.cat([value for value, _ in parts]), torch.cat([place for _, place in parts])

    def _chunk(self, queries: Tensor, first: int) -> Found:
        cells = (queries @ self._centres.T).topk(PROBES, dim=1).indices
        order = torch.argsort(cells.flatten(), stable=True)
        ends = torch.bincount(cells.flatten(), minlength=len(self._centres)).cumsum(0).tolist()
        values = torch.full((cells.numel(), self._keep), -2.0)
        places = torch.zeros((cells.numel(), self._keep), dtype=torch.long)
        for cell, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            low, high = self._ends[cell], self._ends[cell + 1]
            if start == end or low == high:
                continue
            slots = order[start:end]
            rows = slots // PROBES
            members = self._members[low:high]
            near = queries[rows] @ self._base[low:high].T
            near.masked_fill_(members == (first + rows)[:, None], -2)
            value, column = near.topk(min(self._keep, high - low), dim=1)
            values[slots, : value.shape[1]] = value
            places[slots, : value.shape[1]] = members[column]
        value, column = values.view(len(queries), -1).topk(self._keep, dim=1)
        return value, places.view(len(queries), -1).gather(1, column)


class _Compiled:
    """Either, as a kernel: the same but for rounding."""

    def __init__(self, base: Tensor, keep: int, cells: tuple[Tensor, Tensor] | None) -> None:
        self._keep = keep
        self._centres = None if cells is None else cells[0]
        own = torch.arange(len(base)) // _CELL if cells is None else cells[1]
        count = torch.bincount(own)
        tiles = (count + _TILE - 1) // _TILE
        self._ends = F.pad(tiles.cumsum(0), (1, 0))
        order = torch.argsort(own, stable=True)
        rank = torch.arange(len(base)) - (count.cumsum(0) - count)[own[order]]
        slot = self._ends[own[order]] * _TILE + rank
        self._members = torch.full((int(self._ends[-1]) * _TILE,), -1)
        self._members[slot] = order
        filled = torch.zeros(len(self._members), base.shape[1])
        filled[slot] = base[order]
        self._tiles = filled.view(-1, _TILE, base.shape[1]).transpose(1, 2).contiguous()

    def __call__(self, queries: Tensor, first: int) -> Found:
        cells = torch.zeros(len(queries), 0, dtype=torch.long)  # all of them
        if self._centres is not None:
            cells = (queries @ self._centres.T).topk(PROBES, dim=1).indices
        value, place = torch.ops.normlab_pairs.nearest(
            queries.contiguous(), self._tiles, self._members, self._ends, cells, first, self._keep
        )
        return value, place


def _cells_of(base: Tensor) -> tuple[Tensor, Tensor]:
    """The centres of the cells, and which one each descriptor is in."""
    centres = _centres(base, 1 << round(math.log2(1.4 * math.sqrt(len(base)))))
    return centres, torch.cat([(part @ centres.T).argmax(1) for part in base.split(_CHUNK)])


def _centres(base: Tensor, count: int) -> Tensor:
    """Spherical k-means on some of the descriptors, whose order says nothing."""
    step = max(1, len(base) // (count * _SAMPLE))
    sample = base[::step]
    centres = sample[:: max(1, len(sample) // count)][:count].clone()
    for _ in range(_ROUNDS):
        own = torch.cat([(part @ centres.T).argmax(1) for part in sample.split(_CHUNK)])
        total = torch.zeros_like(centres).index_add_(0, own, sample)
        some = total.square().sum(1, keepdim=True) > 0
        centres = torch.where(some, F.normalize(total), centres)
    return centres


def _largest(values: Float[Tensor, "b n"], keep: int) -> tuple[Tensor, Tensor]:
    """`topk` along rows, faster: n is a multiple of _RUN.

    The largest `keep` values lie in the `keep` runs of columns with the largest maxima.
    """
    runs = values.unflatten(1, (-1, _RUN))
    best = runs.amax(2).topk(min(keep, runs.shape[1]), dim=1).indices.sort(1).values
    inside = runs.gather(1, best[..., None].expand(-1, -1, _RUN)).flatten(1)
    value, place = inside.topk(keep, dim=1)
    return value, best.gather(1, place // _RUN) * _RUN + place % _RUN
