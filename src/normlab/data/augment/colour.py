"""Colours: one affine map of (red, green, blue) per image, and the operations that are none.

Images are float32 in [0, 1]. Maps compose as in space.py; the result is clamped once, at the end.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Images = Float[Tensor, "n 3 s s"]
GREY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601."""
RANGE, HUE = 0.4, 18.0


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
    weights = images.new_tensor(GREY)
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
    cross = axis * torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=degrees.device)
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
    kernel = images.new_tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]).div_(13).expand(3, 1, 3, 3)
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = functional.conv2d(images, kernel, groups=3)
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
    offsets = torch.arange(len(planes), device=images.device)[:, None] * 256
    counts = torch.bincount((planes + offsets).flatten(), minlength=256 * len(planes))
    below = counts.view(-1, 256).cumsum(1).float()
    first = below.gather(1, planes.amin(1, keepdim=True))
    table = ((below - first) / (planes.shape[1] - first).clamp(min=1)).clamp_(0, 1)
    return table.gather(1, planes).view_as(images)
