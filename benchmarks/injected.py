"""Copies of photographs, made with Pillow at full size: the truth for `benchmarks/copies.py`."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageEnhance, ImageOps

Make = Callable[[Image.Image, Random], Image.Image]
_SMOOTH = Image.Resampling.BICUBIC


def mirrored(image: Image.Image, random: Random) -> Image.Image:
    """Left and right change sides."""
    return ImageOps.mirror(image)


def upside_down(image: Image.Image, random: Random) -> Image.Image:
    """Top and bottom change sides."""
    return ImageOps.flip(image)


def rotated_black(image: Image.Image, random: Random) -> Image.Image:
    """By ±5° to 180°; the corners that come into view are black."""
    return image.rotate(_angle(random), _SMOOTH)


def rotated_reflected(image: Image.Image, random: Random) -> Image.Image:
    """By ±5° to 180°; the corners show the picture reflected at its border."""
    width, height = image.size
    wide = Image.new("RGB", (3 * width, 3 * height))
    for row in range(3):
        for column in range(3):
            tile = ImageOps.mirror(image) if column != 1 else image
            tile = ImageOps.flip(tile) if row != 1 else tile
            wide.paste(tile, (column * width, row * height))
    turned = wide.rotate(_angle(random), _SMOOTH)
    return turned.crop((width, height, 2 * width, 2 * height))


def rotated_cropped(image: Image.Image, random: Random) -> Image.Image:
    """By ±5° to 180°, cut to the largest square without corners (a zoom of up to √2)."""
    angle = _angle(random)
    turn = math.radians(angle)
    zoom = abs(math.cos(turn)) + abs(math.sin(turn))
    return _cropped(image.rotate(angle, _SMOOTH), zoom, 0.0, 0.0)


def zoomed(image: Image.Image, random: Random) -> Image.Image:
    """The centre, 1.05 to 1.3 times larger."""
    return _cropped(image, random.uniform(1.05, 1.3), 0.0, 0.0)


def cropped(image: Image.Image, random: Random) -> Image.Image:
    """A window anywhere, 1.05 to 1.3 times larger."""
    return _cropped(image, random.uniform(1.05, 1.3), random.uniform(-1, 1), random.uniform(-1, 1))


def jpeg_60(image: Image.Image, random: Random) -> Image.Image:
    """Encoded again with quality 60."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


def brightness(image: Image.Image, random: Random) -> Image.Image:
    """20 % darker or brighter."""
    return ImageEnhance.Brightness(image).enhance(random.choice([0.8, 1.2]))


def half_size(image: Image.Image, random: Random) -> Image.Image:
    """Half as many pixels a side."""
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), _SMOOTH)


def combined(image: Image.Image, random: Random) -> Image.Image:
    """A rotation, and each of mirror, window, brightness and quality with probability ½."""
    image = random.choice([rotated_black, rotated_reflected])(image, random)
    for make in (mirrored, zoomed, brightness, jpeg_60):
        if random.random() < 0.5:
            image = make(image, random)
    return image


KINDS: dict[str, Make] = {
    make.__name__: make
    for make in (
        mirrored,
        upside_down,
        rotated_black,
        rotated_reflected,
        rotated_cropped,
        zoomed,
        cropped,
        jpeg_60,
        brightness,
        half_size,
        combined,
    )
}


def encoded(image: Image.Image) -> bytes:
    """JPEG of quality 90."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _angle(random: Random) -> float:
    return random.choice([-1, 1]) * random.uniform(5, 180)


def _cropped(image: Image.Image, zoom: float, right: float, down: float) -> Image.Image:
    """The window of 1/zoom of each side; (right, down) from −1 to 1 place it."""
    width, height = image.size
    left, top = (1 + right) / 2 * width * (1 - 1 / zoom), (1 + down) / 2 * height * (1 - 1 / zoom)
    box = (left, top, left + width / zoom, top + height / zoom)
    return image.resize((width, height), _SMOOTH, box=box)
