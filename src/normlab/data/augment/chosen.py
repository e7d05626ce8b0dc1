"""TrivialAugment and RandAugment: operations that are chosen for each image by its draws.

The fourteen operations of both papers. Those of space and the blends of colour are maps of all
images at once, with no effect where they were not chosen; the rest work on the images that chose
them. Draws come on the CPU, which thereby knows how many images those are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from normlab.data.augment import colour, space
from normlab.data.device import to_device

NAMES = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness",
    "colour", "contrast", "sharpness", "posterize", "solarize", "auto_contrast", "equalize",
)  # fmt: skip
TRIVIAL = {"shear": 0.99, "translate": 0.3, "rotate": 135.0, "blend": 0.99, "bits": 6.0}
"""Largest strengths; TrivialAugment's wide space, its 32 pixels as a share of the side."""
RAND = {"shear": 0.3, "translate": 0.45, "rotate": 30.0, "blend": 0.9, "bits": 4.0}
RAND_STRENGTH = 9 / 30


def warp(
    maps: space.Maps,
    operation: Int[Tensor, " n"],
    strength: Float[Tensor, " n"],
    negative: Bool[Tensor, " n"],
    maxima: dict[str, float],
) -> space.Maps:
    """Add to the maps the chosen operation, where it is one that moves pixels.

    `maxima` are the largest strengths by name; see RAND and TRIVIAL.
    """
    signed = to_device(torch.where(negative, -strength, strength), maps.device)
    operation = to_device(operation, maps.device)

    def of(name: str, largest: str) -> Tensor:
        return torch.where(operation == NAMES.index(name), signed * maxima[largest], 0.0)

    maps = space.shear(maps, of("shear_x", "shear"), of("shear_y", "shear"))
    maps = space.shift(maps, of("translate_x", "translate"), of("translate_y", "translate"))
    return space.rotate(maps, of("rotate", "rotate"))


def recolour(
    images: colour.Images,
    operation: Int[Tensor, " n"],
    strength: Float[Tensor, " n"],
    negative: Bool[Tensor, " n"],
    maxima: dict[str, float],
) -> colour.Images:
    """Apply the chosen operation, where it is one that changes colours; see `warp`."""
    signed = torch.where(negative, -strength, strength)

    def factor(name: str) -> Tensor:
        return 1 + torch.where(operation == NAMES.index(name), signed * maxima["blend"], 0.0)

    device = images.device
    blends = [to_device(factor(name), device) for name in ("brightness", "contrast", "colour")]
    images = colour.apply_map(images, *colour.blend_maps(images, *blends))
    for name, change in _SPECIAL.items():
        which = (operation == NAMES.index(name)).nonzero()[:, 0]
        if len(which):
            own = to_device(which, device)
            by, toward = to_device(strength[which], device), to_device(signed[which], device)
            images[own] = change(images[own], by, toward, maxima)
    return images


_Change = Callable[[colour.Images, Tensor, Tensor, dict[str, float]], colour.Images]
_SPECIAL: dict[str, _Change] = {
    "sharpness": lambda x, _, signed, maxima: colour.sharpen(x, 1 + signed * maxima["blend"]),
    "posterize": lambda x, strength, _, maxima: colour.posterize(
        x, (8 - strength * maxima["bits"]).round()
    ),
    "solarize": lambda x, strength, _, __: colour.solarize(x, 1 - strength),
    "auto_contrast": lambda x, _, __, ___: colour.auto_contrast(x),
    "equalize": lambda x, _, __, ___: colour.equalize(x),
}
