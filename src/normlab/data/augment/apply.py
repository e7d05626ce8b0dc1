"""A batch through a policy: uint8 pixels in, standardized and augmented images out."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from normlab.data.augment import chosen, colour, mix, space
from normlab.data.augment.draws import Draws
from normlab.data.augment.policy import CHOSEN, GEOMETRIC
from normlab.data.device import to_device
from normlab.records.run import Policy


def augment(
    pixels: UInt8[Tensor, "n s s 3"],
    draws: Draws,
    policy: Policy,
    mean: Float[Tensor, " 3"],
    std: Float[Tensor, " 3"],
) -> Float[Tensor, "n 3 s s"]:
    """Space, then colour, then (x − mean)/std; 0, the mean colour, where nothing came to lie."""
    device = pixels.device
    images = pixels.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)  # channels_last
    choices = _choices(draws, policy)
    mask = None
    if policy & (GEOMETRIC | CHOSEN) or "shift" in policy:
        maps = space.identity(len(images), device)
        if "crop" in policy:
            maps = space.crop(maps, to_device(draws.crop, device))
        if "rotate" in policy:
            maps = space.rotate(maps, space.ANGLE * (2 * to_device(draws.angle, device) - 1))
        if "shift" in policy:
            share = to_device(draws.shifts, device) / images.shape[2]
            maps = space.shift(maps, share[:, 1], share[:, 0])
        for choice in choices:
            maps = chosen.warp(maps, *choice)
        if "mirror" in policy:
            maps = space.mirror(maps, to_device(draws.mirrored, device))
        images, mask = space.resample(images, maps)
    elif "mirror" in policy:
        which = to_device(draws.mirrored, device)[:, None, None, None]
        images = torch.where(which, images.flip(3), images)
    if "jitter" in policy:
        images = colour.jitter(images, to_device(draws.jitter, device))
    for choice in choices:
        images = chosen.recolour(images, *choice)
    images = images.sub(mean[:, None, None]).div_(std[:, None, None])
    if mask is not None:
        images = images.mul_(mask)
    if "erase" in policy:
        images = mix.erase(images, draws.erase)
    return images.contiguous(memory_format=torch.channels_last)


_Choice = tuple[Tensor, Tensor, Tensor, dict[str, float]]


def _choices(draws: Draws, policy: Policy) -> list[_Choice]:
    """(operation, strength, negative, largest strengths) of every chosen operation, on the CPU."""
    operations, strengths, signs = (
        value.unbind(1) for value in (draws.operation, draws.strength, draws.sign)
    )
    found: list[_Choice] = []
    if "trivial" in policy:
        found.append((operations[0], strengths[0], signs[0], chosen.TRIVIAL))
    if "rand" in policy:
        strength = torch.full_like(strengths[0], chosen.RAND_STRENGTH)
        found += [(operations[k], strength, signs[k], chosen.RAND) for k in range(2)]
    return found
