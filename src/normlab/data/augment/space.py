"""Where every pixel comes from: one affine map of the plane per image, applied once.

Maps are 3×3 matrices from places in the result to places in the source, in coordinates from −1 to
1 across the image; composing them is a product, so that several operations cost one resampling.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Maps = Float[Tensor, "n 3 3"]
AREA, RATIO, ANGLE = (0.4, 1.0), (3 / 4, 4 / 3), 15.0


def identity(count: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Maps:
    """Maps that change nothing."""
    return torch.eye(3, device=device, dtype=dtype).repeat(count, 1, 1)


def mirror(maps: Maps, which: Tensor) -> Maps:
    """Left and right exchanged in some images."""
    sign = torch.where(which, -1.0, 1.0)
    return _scaled(maps, sign, torch.ones_like(sign))


def shift(maps: Maps, right: Tensor, vertical: Tensor) -> Maps:
    """Add to the maps a move by shares of the side."""
    step = identity(len(maps), maps.device, maps.dtype)
    step[:, 0, 2], step[:, 1, 2] = -2 * right, -2 * vertical
    return maps @ step


def crop(maps: Maps, draws: Float[Tensor, "n 4"]) -> Maps:
    """A random part of the image becomes the whole."""
    area = AREA[0] + draws[:, 0] * (AREA[1] - AREA[0])
    ratio = torch.exp(math.log(RATIO[0]) + draws[:, 1] * math.log(RATIO[1] / RATIO[0]))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    moved = shift(
        identity(len(maps), maps.device, maps.dtype),
        -(1 - width) * (draws[:, 3] - 0.5),
        -(1 - height) * (draws[:, 2] - 0.5),
    )
    return maps @ _scaled(moved, width, height)


def rotate(maps: Maps, degrees: Tensor) -> Maps:
    """Add to the maps a rotation about the middle."""
    turn = identity(len(maps), maps.device, maps.dtype)
    radians = torch.deg2rad(degrees)
    turn[:, 0, 0] = turn[:, 1, 1] = radians.cos()
    turn[:, 0, 1], turn[:, 1, 0] = -radians.sin(), radians.sin()
    return maps @ turn


def shear(maps: Maps, horizontal: Tensor, vertical: Tensor) -> Maps:
    """x moves with y by `across`, y with x by `down`."""
    step = identity(len(maps), maps.device, maps.dtype)
    step[:, 0, 1], step[:, 1, 0] = horizontal, vertical
    return maps @ step


def resample(
    images: Float[Tensor, "n 3 s s"], maps: Maps
) -> tuple[Float[Tensor, "n 3 s s"], Float[Tensor, "n 1 s s"]]:
    """The images under their maps (bilinear), and a mask that is 0 where the source has ended."""
    size = images.shape[2]
    # The places of the pixels' middles. (affine_grid takes longer than the sampling.)
    places = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    rows = maps[:, :2, 1, None] * places + maps[:, :2, 2, None]  # (n, 2, s)
    columns = maps[:, :2, 0, None] * places
    grid = (rows[:, :, :, None] + columns[:, :, None, :]).permute(0, 2, 3, 1)
    found = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    within = (grid.abs() <= 1).all(dim=3)
    return found, within[:, None].to(images.dtype)


def _scaled(maps: Maps, x: Tensor, y: Tensor) -> Maps:
    step = identity(len(maps), maps.device, maps.dtype)
    step[:, 0, 0], step[:, 1, 1] = x, y
    return maps @ step
