"""What shape a picture had before it was squashed to a square, and how many pixels.

A picture of w×h pixels lies in its square with coordinates z = S x, where x are those in half short
sides from its centre and S = diag(min(w, h)/w, min(w, h)/h): a copy that was turned in its frame is
a rotation of x, and in z a shear. A map A of x is S_s A S_t⁻¹ in squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

SQUARE = 0.95
"""A picture whose sides differ by less is taken as a square."""
PIXELS, COARSE = 64.0, 2.0
"""The short side below which a picture and its noise are enlarged, and by how much at most."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """Of some pictures."""

    squash: Float[Tensor, "d 2"]
    """The diagonal of S."""
    noise: Float[Tensor, " d"]
    """How many times more noise a picture has for its few pixels."""

    def of(self, rows: Int[Tensor, " b"]) -> Shapes:
        """Those of some of them."""
        return Shapes(self.squash[rows], self.noise[rows])

    @property
    def oblong(self) -> Bool[Tensor, " d"]:
        """Which are no squares."""
        narrow: Bool[Tensor, " d"] = self.squash.amin(1) < SQUARE
        return narrow


def shapes_of(sizes: Int[np.ndarray, "d 2"]) -> Shapes:
    """From widths and heights in pixels."""
    size = torch.from_numpy(np.asarray(sizes, np.float32)).clamp_min(1)
    short = size.amin(1)
    return Shapes(short[:, None] / size, (PIXELS / short).clamp(1, COARSE))


def true_map(
    affine: Float[Tensor, "b 2 3"], source: Shapes, target: Shapes
) -> Float[Tensor, "b 2 3"]:
    """S_s⁻¹ A S_t, the map between the pictures from that between their squares."""
    right = torch.cat([target.squash, torch.ones_like(target.squash[:, :1])], 1)
    return affine * right[:, None] / source.squash[:, :, None]


def squared_map(
    affine: Float[Tensor, "b 2 3"], source: Shapes, target: Shapes
) -> Float[Tensor, "b 2 3"]:
    """S_s A S_t⁻¹, the inverse of `true_map`."""
    right = torch.cat([target.squash, torch.ones_like(target.squash[:, :1])], 1)
    return affine * source.squash[:, :, None] / right[:, None]


def turn_and_zoom(affine: Float[Tensor, "b 2 3"]) -> Float[Tensor, "b 2 3"]:
    """The nearest map without shear and stretch: mirrored or not, turned, zoomed and shifted."""
    (a, b), (c, d) = affine[:, 0, :2].unbind(1), affine[:, 1, :2].unbind(1)
    sign = torch.where(a * d - b * c < 0, -1.0, 1.0)
    cosine, sine = (a + sign * d) / 2, (c - sign * b) / 2
    first = torch.stack([cosine, -sign * sine, affine[:, 0, 2]], -1)
    return torch.stack([first, torch.stack([sine, sign * cosine, affine[:, 1, 2]], -1)], 1)
