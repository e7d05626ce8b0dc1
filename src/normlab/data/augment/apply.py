"""A batch through a policy: uint8 pixels in, standardized and augmented images out."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from normlab.data.augment import chosen, colour, mix, space
from normlab.data.augment.draws import Draws
from normlab.data.augment.policy import CHOSEN, GEOMETRIC
from normlab.records.schema import Policy


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
    choices = _choices(draws, policy, device)
    mask = None
    if policy & (GEOMETRIC | CHOSEN) or "shift" in policy:
        maps = space.identity(len(images), device)
        if "crop" in policy:
            maps = space.crop(maps, draws.crop.to(device))
        if "rotate" in policy:
            maps = space.rotate(maps, space.ANGLE * (2 * draws.angle - 1).to(device))
        if "shift" in policy:
            share = draws.shifts.to(device) / images.shape[2]
            maps = space.shift(maps, share[:, 1], share[:, 0])
        for choice in choices:
            maps = chosen.warp(maps, *choice)
        if "mirror" in policy:
            maps = space.mirror(maps, draws.mirrored.to(device))
        images, mask = space.resample(images, maps)
    elif "mirror" in policy:
        which = draws.mirrored.to(device)[:, None, None, None]
        images = torch.where(which, images.flip(3), images)
    if "jitter" in policy:
        images = colour.jitter(images, draws.jitter.to(device))
    for choice in choices:
        images = chosen.recolour(images, *choice)
    images = images.sub(mean[:, None, None]).div_(std[:, None, None])
    if mask is not None:
        images = images.mul_(mask)
    if "erase" in policy:
        images = mix.erase(images, draws.erase)
    return images.contiguous(memory_format=torch.channels_last)


_Choice = tuple[Tensor, Tensor, Tensor, dict[str, float]]


def _choices(draws: Draws, policy: Policy, device: torch.device) -> list[_Choice]:
    """(operation, strength, negative, largest strengths) of every chosen operation."""
    found: list[_Choice] = []
    if "trivial" in policy:
        found.append(
            (
                draws.operation[:, 0].to(device),
                draws.strength[:, 0].to(device),
                draws.sign[:, 0].to(device),
                chosen.TRIVIAL,
            )
        )
    if "rand" in policy:
        strength = torch.full_like(draws.strength[:, 0], chosen.RAND_STRENGTH).to(device)
        found += [
            (draws.operation[:, k].to(device), strength, draws.sign[:, k].to(device), chosen.RAND)
            for k in range(2)
        ]
    return found
