"""Pairs that fit roughly, by three searches: turned, turned in an oblong frame, and cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from normlab.data.duplicates.alignment import Alignment, align, align_from, details
from normlab.data.duplicates.candidates import NEIGHBOURS, Candidates, best_pairs
from normlab.data.duplicates.descriptors import ZOOMS, Small, described, shrink, textured
from normlab.data.duplicates.index import nearest_by
from normlab.data.duplicates.raster import in_blocks
from normlab.data.duplicates.shapes import Shapes, squared_map
from normlab.data.duplicates.windows import VIEWS, Windows, window_map
from normlab.data.scan import Progress, no_progress

LEAST_SCORES = (0.75, 0.90)
SPREADS = (0.20, 0.08)
"""ρ from which the first version reported a pair, at these spreads of detail, linear between them
and constant beyond."""
LEAST_FINE = 0.67
"""Cosine that two descriptors of the finest detail alone had to have as well."""
LEAST_SIMILARITY = 0.6
"""Cosine of two descriptors from which a pair is compared, once there are FEW images to learn
from."""
FEW = 100
LEAST_OVERLAP = 0.25
"""What share of the image must be seen in both."""
SAME_MAP = 0.06
"""Maps of one pair whose numbers differ by less are refined to the same."""
ROUGH_SCORE, ROUGH_FINE = 0.6, 0.4
"""ρ, and that of the finest detail, from which a pair is verified."""


@dataclass(frozen=True, eq=False)
class Proposals:
    """Pairs of positions among the images that are compared."""

    source: Int[Tensor, " k"]
    target: Int[Tensor, " k"]
    affine: Float[Tensor, "k 2 3"]
    """Source coordinates from target coordinates, in the squares."""
    score: Float[Tensor, " k"]
    """ρ."""
    near: Bool[Tensor, " k"]
    """What the first version called a copy."""

    def of(self, rows: Tensor) -> Proposals:
        """Some of them."""
        return Proposals(
            self.source[rows],
            self.target[rows],
            self.affine[rows],
            self.score[rows],
            self.near[rows],
        )


def first_proposals(small: Small, progress: Progress = no_progress) -> Proposals:
    """Those of the first version: turned, mirrored and zoomed copies, all compared with all."""
    found = _turned(small, progress, exact=True)
    return found.of(found.near.nonzero()[:, 0])


def proposals(
    images: tuple[UInt8[np.ndarray, "n s s 3"], Int[np.ndarray, " d"]],
    small: Small,
    shapes: Shapes,
    progress: Progress = no_progress,
) -> Proposals:
    """All searches; a pair may come from several, as different maps."""
    found = [_turned(small, progress), _cut(small, progress)]
    if shapes.oblong.any():
        middle = shrink(*images, progress, shapes.squash)
        part = _turned(middle, progress)
        part = part.of((shapes.oblong[part.source] | shapes.oblong[part.target]).nonzero()[:, 0])
        affine = squared_map(part.affine, shapes.of(part.source), shapes.of(part.target))
        found.append(Proposals(part.source, part.target, affine, part.score, part.near))
    names = ("source", "target", "affine", "score", "near")
    every = Proposals(*(torch.cat([getattr(part, name) for part in found]) for name in names))
    return every.of(_different(every, len(small.pixels)))


def _different(every: Proposals, count: int) -> Int[Tensor, " m"]:
    """Best first, without those that are a better one again: the same pair, about the same map."""
    order = torch.argsort(every.score, descending=True, stable=True)
    order = order[torch.argsort((every.source * count + every.target)[order], stable=True)]
    best = every.of(order)
    again = torch.zeros(len(order), dtype=torch.bool)
    if len(order):
        same = (best.source[1:] == best.source[:-1]) & (best.target[1:] == best.target[:-1])
        apart = (best.affine[1:] - best.affine[:-1]).abs().amax((1, 2))
        again[1:] = same & (apart < SAME_MAP)
    return order[~again]


def _turned(small: Small, progress: Progress, *, exact: bool = False) -> Proposals:
    rows, small = _with_texture(small)
    if len(rows) < 2:
        return _none()
    known = described(small)
    nearest = nearest_by(known.zoomed[0], NEIGHBOURS, exact=exact)
    found = best_pairs(known.zoomed, len(ZOOMS), nearest, _least(len(rows)), progress)
    luminance = known.luminance
    del known, nearest
    detail = details(small)

    def aligned(block: slice) -> Alignment:
        pairs = found.source[block], found.target[block]
        return align(detail, luminance, *pairs, found.view[block])

    return _rough(rows, found, aligned, progress)


def _cut(small: Small, progress: Progress) -> Proposals:
    rows, small = _with_texture(small)
    if len(rows) < 2:
        return _none()
    windows = Windows(small)
    views = windows.views()
    base = next(views)
    nearest = nearest_by(base, NEIGHBOURS)
    every = (view for view in _chained(base, views))
    found = best_pairs(every, VIEWS, nearest, _least(len(rows)), progress)
    detail = details(small)

    def aligned(block: slice) -> Alignment:
        pairs = found.source[block], found.target[block]
        return align_from(detail, *pairs, [window_map(found.view[block])])

    return _rough(rows, found, aligned, progress)


def _chained(first: Tensor, others: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from others


def _with_texture(small: Small) -> tuple[Int[Tensor, " m"], Small]:
    """Those that show something, and which they are."""
    rows = textured(small).nonzero()[:, 0]
    return rows, Small(small.pixels[rows], small.valid[rows])


def _least(count: int) -> float:
    return LEAST_SIMILARITY if count >= FEW else -1.0


def _rough(
    rows: Tensor, found: Candidates, aligned: Callable[[slice], Alignment], progress: Progress
) -> Proposals:
    """Those that fit well enough to be verified."""
    if not len(found.source):
        return _none()
    parts = in_blocks(aligned, len(found.source), "comparing", progress)
    score, fine, affine = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("score", "fine", "affine")
    )
    spread, overlap = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("spread", "overlap")
    )
    seen = overlap >= LEAST_OVERLAP
    near = (score >= _least_score(spread)) & (fine >= LEAST_FINE) & seen
    fits = ((score >= ROUGH_SCORE) & (fine >= ROUGH_FINE) & seen).nonzero()[:, 0]
    every = Proposals(rows[found.source], rows[found.target], affine, score, near)
    return every.of(fits)


def _least_score(spread: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    part = ((SPREADS[0] - spread) / (SPREADS[0] - SPREADS[1])).clamp(0, 1)
    return LEAST_SCORES[0] + (LEAST_SCORES[1] - LEAST_SCORES[0]) * part


def _none() -> Proposals:
    nothing = torch.zeros(0, dtype=torch.long)
    empty = torch.zeros(0)
    return Proposals(nothing, nothing, torch.zeros(0, 2, 3), empty, empty > 0)
