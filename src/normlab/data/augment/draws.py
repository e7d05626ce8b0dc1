"""All random numbers of an epoch, drawn before its first batch: one row an image.

They come from one stream in one order, whatever the policy, so that policies differ in their
effect alone; and they do not depend on the batch size or the arm.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

OPERATIONS = 14
"""How many operations trivial and rand choose from; see chosen.py."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Random numbers for each image of an epoch; all uniform in [0, 1) but where noted."""

    mirrored: Bool[Tensor, " images"]
    shifts: Int[Tensor, "images 2"]
    """How far the image moves down and to the right, in pixels."""
    crop: Float[Tensor, "images 4"]
    """Area, ratio, place down and to the right."""
    angle: Float[Tensor, " images"]
    jitter: Float[Tensor, "images 4"]
    """Brightness, contrast, saturation, hue."""
    operation: Int[Tensor, "images 2"]
    strength: Float[Tensor, "images 2"]
    sign: Bool[Tensor, "images 2"]
    erase: Float[Tensor, "images 5"]
    """Whether to erase, then area, ratio, place down and place to the right."""
    mix: Float[Tensor, "images 4"]
    """Weight, whether cutmix (of a batch's first image), place down and to the right."""

    def __getitem__(self, images: slice) -> Draws:
        """The draws of some of the images."""
        return Draws(**{field.name: getattr(self, field.name)[images] for field in fields(self)})


def draw(count: int, size: int, generator: torch.Generator) -> Draws:
    """Draws for `count` images of side `size`."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator)

    reach = size // 8
    return Draws(
        mirrored=uniform() < 0.5,
        shifts=torch.randint(-reach, reach + 1, (count, 2), generator=generator),
        crop=uniform(4),
        angle=uniform(),
        jitter=uniform(4),
        operation=torch.randint(0, OPERATIONS, (count, 2), generator=generator),
        strength=uniform(2),
        sign=uniform(2) < 0.5,
        erase=uniform(5),
        mix=uniform(4),
    )
