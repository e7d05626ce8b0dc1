"""Mixtures of two images of a batch, and of their labels."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from normlab.data.augment.draws import Draws
from normlab.data.device import to_device
from normlab.records.run import Policy

MIXUP_ALPHA = 0.2
ERASE_CHANCE, ERASE_AREA, ERASE_RATIO = 0.25, (0.02, 0.33), 3.3


def mix(
    images: Float[Tensor, "n 3 s s"],
    labels: Int[Tensor, " n"],
    draws: Draws,
    policy: Policy,
    classes: int,
) -> tuple[Float[Tensor, "n 3 s s"], Float[Tensor, "n classes"]]:
    """Each image with the one before it in the batch (the order is random already).

    Mixup: w·a + (1 − w)·b. Cutmix: a rectangle of b of the area 1 − w in a. The label is
    w·onehot(a) + (1 − w)·onehot(b), w the share of a that is left.
    """
    other = images.roll(1, 0)
    cut = "cutmix" in policy and ("mixup" not in policy or bool(draws.mix[0, 1] < 0.5))
    if cut:
        size = images.shape[2]
        share, _, down, right = to_device(draws.mix, images.device).unbind(1)
        side = (1 - share).sqrt()  # area uniform: Beta(1, 1)
        within = rectangle(size, side, side, down, right)
        images = torch.where(within[:, None], other, images)
        weight = 1 - within.float().mean((1, 2))
    else:
        weight = to_device(beta(draws.mix[:, 0], MIXUP_ALPHA), images.device)
        images = other.lerp(images, weight[:, None, None, None])
    target = torch.nn.functional.one_hot(labels, classes).to(images.dtype)
    return images, target.roll(1, 0).lerp(target, weight[:, None])


def erase(images: Float[Tensor, "n 3 s s"], draws: Float[Tensor, "n 5"]) -> Tensor:
    """A rectangle of some of the (standardized) images becomes 0, the mean colour."""
    draws = to_device(draws, images.device)
    area = ERASE_AREA[0] + draws[:, 1] * (ERASE_AREA[1] - ERASE_AREA[0])
    ratio = ERASE_RATIO ** (2 * draws[:, 2] - 1)
    height, width = (area * ratio).sqrt(), (area / ratio).sqrt()
    gone = rectangle(images.shape[2], height, width, draws[:, 3], draws[:, 4])
    gone &= (draws[:, 0] < ERASE_CHANCE)[:, None, None]
    return images.masked_fill_(gone[:, None], 0.0)


def rectangle(size: int, height: Tensor, width: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Masks (n, size, size) of rectangles: sides as shares, places from 0 to 1, all inside."""
    pixels = torch.arange(size, device=height.device)

    def within(side: Tensor, place: Tensor) -> Tensor:
        length = (side * size).round().clamp(max=size)
        first = ((size - length) * place).round()
        return (pixels >= first[:, None]) & (pixels < (first + length)[:, None])

    return within(height, down)[:, :, None] & within(width, right)[:, None, :]


def beta(uniform: Float[Tensor, " n"], alpha: float) -> Float[Tensor, " n"]:
    """Beta(α, α) from uniform numbers, by the inverse of its distribution."""
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, uniform.double().numpy())).float()
