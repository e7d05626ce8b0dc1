"""Colours: one affine map of (red, green, blue) per image, and the operations that are none.

Images are float32 in [0, 1]. Maps compose as in space.py; the result is clamped once, at the end.
"""

from __future__ import annotations

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d

Images = Float[Tensor, "n 3 s s"]
GREY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601."""
RANGE, HUE = 0.4, 18.0
CROSS = ((0.0, -1.0, 1.0), (1.0, 0.0, -1.0), (-1.0, 1.0, 0.0))
"""v ↦ (1, 1, 1) × v."""
SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))
"""The weights of Pillow's SMOOTH filter, times 13."""


@functools.cache
def constant(
    values: tuple[float, ...] | tuple[tuple[float, ...], ...], device: torch.device
) -> Tensor:
    """A tensor of these numbers on the device, copied there once."""
    return torch.tensor(values, device=device)


def jitter(images: Images, draws: Float[Tensor, "n 4"]) -> Images:
    """Brightness, contrast, saturation and hue, in this order."""
    factors = 1 - RANGE + 2 * RANGE * draws[:, :3]
    hue = HUE * (2 * draws[:, 3] - 1)
    matrix, offset = blend_maps(images, *factors.unbind(1))
    turn = hue_map(hue)
    return apply_map(images, turn @ matrix, (turn @ offset[:, :, None])[:, :, 0])


def blend_maps(
    images: Images, brightness: Tensor, contrast: Tensor, saturation: Tensor
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """The map of the three factors; 1 leaves an image as it is.

    x·b; then (x − m)·c + m with m the mean grey; then towards or away from its own grey by s.
    """
    weights = constant(GREY, images.device)
    grey = (images.mean((2, 3)) @ weights) * brightness
    eye = torch.eye(3, device=images.device)
    own = weights.expand(3, 3)
    saturate = saturation[:, None, None] * eye + (1 - saturation)[:, None, None] * own
    matrix = saturate * (brightness * contrast)[:, None, None]
    offset = ((1 - contrast) * grey)[:, None].expand(-1, 3)  # grey stays grey when saturated
    return matrix, offset


def hue_map(degrees: Tensor) -> Float[Tensor, "n 3 3"]:
    """A turn about the grey axis (Rodrigues' formula)."""
    radians = torch.deg2rad(degrees)[:, None, None]
    axis = 1 / math.sqrt(3)
    cross = axis * constant(CROSS, degrees.device)
    eye = torch.eye(3, device=degrees.device)
    third = torch.full((3, 3), 1 / 3, device=degrees.device)
    return radians.cos() * eye + radians.sin() * cross + (1 - radians.cos()) * third


def apply_map(
    images: Images, matrix: Float[Tensor, "n 3 3"], offset: Float[Tensor, "n 3"]
) -> Images:
    """matrix·(r, g, b) + offset, clamped."""
    pixels = images.permute(0, 2, 3, 1)
    flat = torch.baddbmm(offset[:, None, :], pixels.flatten(1, 2), matrix.transpose(1, 2))
    return flat.view(pixels.shape).permute(0, 3, 1, 2).clamp_(0, 1)


def sharpen(images: Images, factor: Tensor) -> Images:
    """Away from (above 1) or towards (below) a smoothed copy, as Pillow's ImageEnhance."""
    kernel = (constant(SMOOTH, images.device) / 13).expand(3, 1, 3, 3)
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = conv2d(images, kernel, groups=3)
    return smooth.lerp(images, factor[:, None, None, None]).clamp_(0, 1)


def posterize(images: Images, bits: Tensor) -> Images:
    """So many bits a channel."""
    levels = (2.0 ** (8 - bits))[:, None, None, None]
    return (images * 255).div(levels).floor().mul(levels).div(255)


def solarize(images: Images, threshold: Tensor) -> Images:
    """Inverted from the threshold on."""
    return torch.where(images >= threshold[:, None, None, None], 1 - images, images)


def auto_contrast(images: Images) -> Images:
    """Every channel stretched to the whole range."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = high - low < 1 / 255
    return torch.where(flat, images, (images - low) / (high - low).clamp(min=1 / 255))


def equalize(images: Images) -> Images:
    """Every channel's levels spread so that each is as frequent (of 256)."""
    planes = (images * 255).round().long().flatten(0, 1).flatten(1)
    # bincount waits for a GPU. Sums of ones are exact, in whatever order they come.
    counts = images.new_zeros(len(planes), 256)
    counts.scatter_add_(1, planes, counts.new_ones(1, 1).expand_as(planes))
    below = counts.cumsum(1)
    first = below.gather(1, planes.amin(1, keepdim=True))
    table = ((below - first) / (planes.shape[1] - first).clamp(min=1)).clamp_(0, 1)
    return table.gather(1, planes).view_as(images)
