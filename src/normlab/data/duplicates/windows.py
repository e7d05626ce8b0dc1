"""Copies that were cut anywhere and not turned: descriptors of windows of the upright picture.

The log-polar descriptor sees the disc around the centre, and says little of a window beside it. So
each image is also compared as it stands, and mirrored, by 16×16 means of luminance and 8×8 of two
differences of colour, of which a linear discriminant analysis keeps the directions where pictures
differ and slightly moved, zoomed and brighter copies do not. A query is the image itself, its
middle, or one of four windows off the middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from normlab.data.duplicates.descriptors import Small, discriminant, filled
from normlab.data.duplicates.raster import in_blocks, pooled, warp

WINDOWS = (
    (1.0, 0.0, 0.0),
    (1.12, 0.0, 0.0),
    *((1.25, right, down) for right in (-0.12, 0.12) for down in (-0.12, 0.12)),
)
"""Zoom, and where the window's middle lies, in half sides."""
VIEWS = 2 * len(WINDOWS)
SHIFT, ZOOM = 0.1, 0.08
"""How far the copies that teach the projection are moved and zoomed (the latter in log)."""
_BLOCK = 512
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.0, -0.5), (-0.25, 0.5, -0.25))


def window_map(view: Int[Tensor, " b"]) -> Float[Tensor, "b 2 3"]:
    """Source coordinates from those of its view: the windows, then the windows mirrored."""
    window = torch.tensor(WINDOWS)[view % len(WINDOWS)]
    sign = 1.0 - 2.0 * (view // len(WINDOWS))
    scale, zero = 1 / window[:, 0], torch.zeros(len(view))
    right = torch.stack([sign * scale, zero, window[:, 1]], -1)
    return torch.stack([right, torch.stack([zero, scale, window[:, 2]], -1)], 1)


class Windows:
    """The descriptors of a data set's images and of their views."""

    def __init__(self, small: Small, sample: int = 4000) -> None:
        self._small = small
        generator = torch.Generator().manual_seed(1)
        rows = torch.randperm(len(small.pixels), generator=generator)[:sample]
        own = torch.cat([_features(small.floats(part)) for part in rows.split(_BLOCK)]).double()
        self._mean = own.mean(0)
        total = (own - self._mean).T @ (own - self._mean) / len(own)
        within = torch.zeros_like(total)
        rounds = max(2, math.ceil(2000 / len(own)))
        for _ in range(rounds):
            for part, known in zip(rows.split(_BLOCK), own.split(_BLOCK), strict=True):
                moved = _features(self._seen(part, _moved(len(part), generator)))
                change = known - moved
                within += change.T @ change / (2 * rounds * len(own))
        self._directions = discriminant(total, within).float()
        self._mean = self._mean.float()

    def views(self) -> Iterator[Float[Tensor, "n d"]]:
        """Descriptors of length 1 of every view of every image; the first is the image itself."""
        for view in range(VIEWS):
            affine = window_map(torch.tensor([view]))
            out = torch.empty(len(self._small.pixels), self._directions.shape[1])

            def write(rows: slice, affine: Tensor = affine, out: Tensor = out) -> None:
                seen = self._seen(rows, affine)
                out[rows] = F.normalize((_features(seen) - self._mean) @ self._directions)

            in_blocks(write, len(out))
            yield out

    def _seen(self, rows: Tensor | slice, affine: Tensor) -> Float[Tensor, "b 3 32 32"]:
        valid = self._small.valid[rows, None].float()
        stack = torch.cat([self._small.pixels[rows].float(), valid], 1)
        seen = warp(stack, affine.expand(len(stack), -1, -1), "border")
        return filled(seen[:, :3], (seen[:, 3:] > 0.99).float())


def _features(pixels: Float[Tensor, "b 3 32 32"]) -> Float[Tensor, "b f"]:
    """Less the mean of each channel, by the deviation of the luminance."""
    mixed = torch.einsum("cd,bdhw->bchw", torch.tensor(_OPPONENT), pixels)
    mixed = mixed - mixed.mean((2, 3), keepdim=True)
    deviation = (mixed[:, :1].square().mean((1, 2, 3), keepdim=True) + 4).sqrt()
    mixed = mixed / deviation
    grey, colour = pooled(mixed[:, :1], 2, 2), pooled(mixed[:, 1:], 4, 4)
    return torch.cat([grey.flatten(1), colour.flatten(1)], 1)


def _moved(count: int, generator: torch.Generator) -> Float[Tensor, "b 2 3"]:
    def uniform(most: float) -> Tensor:
        return (2 * torch.rand(count, generator=generator) - 1) * most

    scale, zero = torch.exp(uniform(ZOOM)), torch.zeros(count)
    right = torch.stack([scale, zero, uniform(SHIFT)], -1)
    return torch.stack([right, torch.stack([zero, scale, uniform(SHIFT)], -1)], 1)
