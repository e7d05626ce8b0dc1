"""Moves and colours of a batch in one pass, with the same bits on every device.

Positions are whole numbers of 1/65,536 pixel and bilinear weights of 1/64, so that what is
interpolated, and its sum over an image, is exact; what follows is rounded once an operation. The
compiled kernel (one_pass.cpp) and the operations on tensors that serve where there is none, and on
a GPU, therefore agree to the last bit. The maps are those of space.py and colour.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int32, UInt8
from torch import Tensor

from normlab.data.augment import colour, space
from normlab.data.augment.draws import Draws
from normlab.data.device import to_device
from normlab.norms.fused.cpu.build import ONE_PASS
from normlab.norms.fused.cpu.loader import has_operators
from normlab.records.run import Policy

FRACTION, WEIGHT = 16, 6
"""Bits behind the point of a position, and of a bilinear weight."""
WHITE = 255 * 4**WEIGHT
"""What is interpolated out of white."""
FIELD = 21
"""Bits that a colour takes of a packed pixel; one of 255·4⁶ fits."""


@dataclass(frozen=True, eq=False)
class OnePass:
    """What is done to each image of an epoch, computed on the CPU before its first batch."""

    maps: Int32[Tensor, "images 6"]
    """u = m₀·column + m₁·row + m₂, v = m₃·column + m₄·row + m₅: the pixel that comes to lie there,
    in 2⁻¹⁶ pixel."""
    matrices: Float[Tensor, "images 9"]
    """Of (red, green, blue), row by row; from 0 … WHITE to 0 … 1."""
    contrasts: Float64[Tensor, " images"]
    """What is added, as a share of the image's mean grey."""

    def __getitem__(self, images: slice) -> OnePass:
        """What is done to some of the images."""
        return OnePass(self.maps[images], self.matrices[images], self.contrasts[images])


def one_pass(draws: Draws, policy: Policy, size: int) -> OnePass:
    """The maps of images of side `size`: those of policies that `policy.in_one_pass` names."""
    count = len(draws.angle)
    maps = space.identity(count, draws.angle.device, torch.float64)
    if "crop" in policy:
        maps = space.crop(maps, draws.crop.double())
    if "rotate" in policy:
        maps = space.rotate(maps, space.ANGLE * (2 * draws.angle.double() - 1))
    if "shift" in policy:
        share = draws.shifts.double() / size
        maps = space.shift(maps, share[:, 1], share[:, 0])
    if "mirror" in policy:
        maps = space.mirror(maps, draws.mirrored)
    matrices = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    contrasts = torch.zeros(count, dtype=torch.float64)
    if "jitter" in policy:
        matrices, contrasts = _jitter(draws.jitter.double())
    return OnePass(_in_pixels(maps, size), (matrices / WHITE).float().flatten(1), contrasts)


def apply(
    pixels: UInt8[Tensor, "n s s 3"],
    moves: OnePass,
    mean: Float[Tensor, " 3"],
    std: Float[Tensor, " 3"],
) -> Float[Tensor, "n 3 s s"]:
    """The batch, standardized; 0, the mean colour, where nothing of the image came to lie."""
    device = pixels.device
    greys = torch.tensor(colour.GREY, dtype=torch.float64) / (WHITE * pixels[0, :, :, 0].numel())
    maps, matrices = to_device(moves.maps, device), to_device(moves.matrices, device)
    contrasts = to_device(moves.contrasts, device)
    arguments = (pixels, maps, matrices, contrasts, greys.to(device), mean, 1 / std)
    if device.type == "cpu" and pixels.is_contiguous() and has_operators(ONE_PASS):
        images: Tensor = torch.ops.normlab_data.one_pass(*arguments)
        return images
    return by_operations(*arguments)


def by_operations(
    pixels: UInt8[Tensor, "n s s 3"],
    maps: Int32[Tensor, "n 6"],
    matrices: Float[Tensor, "n 9"],
    contrasts: Float64[Tensor, " n"],
    greys: Float64[Tensor, " 3"],
    mean: Float[Tensor, " 3"],
    scale: Float[Tensor, " 3"],
) -> Float[Tensor, "n 3 s s"]:
    """What the kernel does, by operations of torch on any device."""
    count, size = pixels.shape[:2]
    values, within = _resampled(pixels, maps)
    totals = values.flatten(2).sum(2)  # (3, n), of integers: exact
    grey = totals[0].double() * greys[0] + totals[1].double() * greys[1]
    grey = grey + totals[2].double() * greys[2]
    offsets = (contrasts * grey).float()[:, None, None]
    floats = values.float()
    # Channels last in memory, filled channel by channel.
    out = floats.new_empty(count, size, size, 3)
    for channel in range(3):
        row = matrices[:, 3 * channel : 3 * channel + 3, None, None]
        mixed = floats[0] * row[:, 0] + floats[1] * row[:, 1]
        mixed = (mixed + floats[2] * row[:, 2]).add_(offsets).clamp_(0, 1)
        mixed = mixed.sub_(mean[channel]).mul_(scale[channel])
        out[..., channel] = torch.where(within, mixed, 0.0)
    return out.permute(0, 3, 1, 2)


def _resampled(
    pixels: UInt8[Tensor, "n s s 3"], maps: Int32[Tensor, "n 6"]
) -> tuple[Tensor, Tensor]:
    """Bilinear sums out of WHITE (3, n, s, s), and where there is any of the image (n, s, s).

    A pixel is packed into one integer, so that its three colours are weighted at once.
    """
    count, size = pixels.shape[:2]
    device = pixels.device
    line = torch.arange(size, dtype=torch.int32, device=device)
    across, down = line[None, None, :], line[None, :, None]
    place, weight, within = [], [], []
    for m in (maps[:, :3], maps[:, 3:]):
        position = m[:, 0, None, None] * across + m[:, 1, None, None] * down + m[:, 2, None, None]
        half, last = 1 << (FRACTION - 1), (size - 1) << FRACTION
        within.append((position >= -half) & (position <= last + half))
        position = position.clamp(0, last)
        place.append((position >> FRACTION).clamp(max=size - 2))
        weight.append((position - (place[-1] << FRACTION)) >> (FRACTION - WEIGHT))
    wide = pixels.long()
    packed = (wide[..., 0] | (wide[..., 1] << FIELD) | (wide[..., 2] << (2 * FIELD))).flatten()
    first = torch.arange(count, device=device)[:, None, None] * size**2
    near = (first + place[1] * size + place[0]).flatten()
    (right, bottom), one = weight, 1 << WEIGHT
    left, top = one - right, one - bottom
    corners = {0: left * top, 1: right * top, size: left * bottom, size + 1: right * bottom}
    total = torch.zeros_like(right, dtype=torch.int64)
    for offset, weight_there in corners.items():
        total += packed.index_select(0, near + offset).view(total.shape) * weight_there
    mask = (1 << FIELD) - 1
    colours = torch.stack([(total >> (FIELD * channel)) & mask for channel in range(3)])
    return colours, within[0] & within[1]


def _in_pixels(maps: Float64[Tensor, "n 3 3"], size: int) -> Int32[Tensor, "n 6"]:
    """From coordinates of −1 to 1 across the image to pixels, whose middles are whole numbers."""
    half = size / 2
    x, y, offset = maps[:, :2].unbind(2)
    offset = half * offset + (x + y) * (0.5 - half) + (half - 0.5)
    return (torch.stack([x, y, offset], 2) * (1 << FRACTION)).round().int().flatten(1)


def _jitter(draws: Float64[Tensor, "n 4"]) -> tuple[Tensor, Tensor]:
    """Brightness, contrast, saturation and hue as in colour.py, but for the mean grey."""
    brightness, contrast, saturation = (1 - colour.RANGE + 2 * colour.RANGE * draws[:, :3]).unbind(
        1
    )
    eye = torch.eye(3, dtype=torch.float64)
    own = torch.tensor(colour.GREY, dtype=torch.float64).expand(3, 3)
    saturate = saturation[:, None, None] * eye + (1 - saturation)[:, None, None] * own
    turn = colour.hue_map(colour.HUE * (2 * draws[:, 3] - 1))
    matrices = turn @ saturate * (brightness * contrast)[:, None, None]
    return matrices, (1 - contrast) * brightness  # grey stays grey when turned or saturated
