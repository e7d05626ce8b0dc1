"""Changes of an image in five strengths, as photographs differ: light, focus, camera, pose.

    contrast      m + f·(x − m), m the image's mean colour
    brightness    x + b·255
    blur          a Gaussian with σ = s·side
    noise         x + 255·σ·ε, ε normal for every value
    jpeg          stored at this quality
    colour cast   x + 255·c·(cos φ, cos(φ + 120°), cos(φ + 240°)), φ drawn for every image
    rotation      by ± these degrees, the sign drawn for every image; the surroundings are mirrored,
                  for a black corner would be a second change

Strengths are in records.robustness.CORRUPTIONS. What is drawn for an image is the same at all
strengths, for all networks. After Hendrycks & Dietterich 2019, with blur as a share of the side, so
that it means the same at any size.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from scipy import ndimage
from torch.nn import functional

from normlab.records.robustness import CORRUPTIONS
from normlab.records.run import known

Picture = UInt8[np.ndarray, "s s 3"]
Pictures = UInt8[np.ndarray, "n s s 3"]


def change(pixels: Pictures, name: str, level: int, seed: int, first: int = 0) -> Pictures:
    """The images changed.

    Args:
        pixels: the images.
        name: a key of CORRUPTIONS.
        level: 1 to 5.
        seed: of what is drawn.
        first: number of the first image among all, so that parts of them draw as the whole does.

    Raises:
        UnknownNameError: no such change.
    """
    strength = CORRUPTIONS[known("change", name, tuple(CORRUPTIONS))][level - 1]
    place = list(CORRUPTIONS).index(name)
    return np.stack(
        [
            _CHANGES[name](picture, strength, np.random.default_rng([seed, place, first + number]))
            for number, picture in enumerate(pixels)
        ]
    )


def contrast(picture: Picture, factor: float, _: np.random.Generator) -> Picture:
    """Draw all pixels towards the image's mean colour, as in fog."""
    mean = picture.mean((0, 1))
    return _clipped(mean + factor * (picture - mean))


def brightness(picture: Picture, more: float, _: np.random.Generator) -> Picture:
    """Make the image lighter, as by too long an exposure."""
    return _clipped(picture + 255 * more)


def blur(picture: Picture, share: float, _: np.random.Generator) -> Picture:
    """Blur the image, as out of focus, by a Gaussian of so many sides."""
    sigma = share * picture.shape[0]
    return _clipped(ndimage.gaussian_filter(picture.astype(np.float32), (sigma, sigma, 0)))


def noise(picture: Picture, sd: float, random: np.random.Generator) -> Picture:
    """Add Gaussian noise to every value, as a camera does in a dark room."""
    return _clipped(picture + 255 * sd * random.standard_normal(picture.shape, np.float32))


def jpeg(picture: Picture, quality: float, _: np.random.Generator) -> Picture:
    """Compress the image as JPEG and read it back, as a messenger does."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=int(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


def colour_cast(picture: Picture, strength: float, random: np.random.Generator) -> Picture:
    """Tint the image, as another light does, by a hue that is drawn: no channel's mean moves."""
    turn = random.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3
    return _clipped(picture + 255 * strength * np.cos(turn))


def rotation(picture: Picture, degrees: float, random: np.random.Generator) -> Picture:
    """Turn the image by so many degrees to a side that is drawn, as by a camera held askew."""
    angle = np.deg2rad(degrees if random.random() < 0.5 else -degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = torch.tensor([[[cos, -sin, 0], [sin, cos, 0]]], dtype=torch.float32)
    image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    turned = functional.grid_sample(
        image, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return _clipped(turned[0].permute(1, 2, 0).numpy())


_CHANGES: dict[str, Callable[[Picture, float, np.random.Generator], Picture]] = {
    "contrast": contrast,
    "brightness": brightness,
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "colour cast": colour_cast,
    "rotation": rotation,
}


def _clipped(values: Float[np.ndarray, "s s 3"]) -> Picture:
    clipped: Picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return clipped
