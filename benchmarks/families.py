"""Generated families of pictures that look alike, where every picture is another one.

Each gives RGB pictures of 128 px and a label a picture; no two show the same thing, so that every
pair that is called a duplicate is a false one. The same seed gives the same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 128
WORDS = [
    "norm",
    "batch",
    "group",
    "image",
    "train",
    "rate",
    "loss",
    "bird",
    "class",
    "sheet",
    "total",
    "paid",
    "due",
    "date",
    "name",
]
Pictures = tuple[list[Image.Image], list[int]]


def same_background(count: int, seed: int) -> Pictures:
    """Another object before one of three walls, as in product shots and hand signs."""
    random = Random(seed)
    walls = [_wall(seed + 1000 + wall) for wall in range(3)]
    pictures = []
    for number in range(count):
        picture = walls[number % 3].copy()
        _object(ImageDraw.Draw(picture), random, random.uniform(0.18, 0.38))
        pictures.append(_camera(picture, random))
    return pictures, [number % 5 for number in range(count)]


def same_object(count: int, seed: int) -> Pictures:
    """One of three objects before another background."""
    pictures = []
    random = Random(seed)
    for number in range(count):
        picture = _scene(random)
        _object(ImageDraw.Draw(picture), Random(seed + number % 3), 0.22)
        pictures.append(_camera(picture, random))
    return pictures, [number % 3 for number in range(count)]


def text_pages(count: int, seed: int) -> Pictures:
    """Pages of one form with other words: a heading, a table's frame, lines."""
    random = Random(seed)
    heading, body = ImageFont.load_default(28), ImageFont.load_default(15)
    pictures = []
    for _ in range(count):
        page = Image.new("RGB", (384, 384), (247, 246, 242))
        draw = ImageDraw.Draw(page)
        draw.text((24, 14), random.choice(["Invoice", "Receipt", "Report"]), (20, 20, 20), heading)
        draw.rectangle((22, 300, 360, 366), outline=(60, 60, 60), width=2)
        for line in range(11):
            words = " ".join(random.choices(WORDS, k=random.randint(4, 8)))
            draw.text((24, 64 + 20 * line), words[:46], (30, 30, 40), body)
        draw.text(
            (30, 320), f"Total {random.randint(10, 9999)}.{random.randint(10, 99)}", (0, 0, 0)
        )
        pictures.append(_camera(page.resize((SIDE, SIDE), Image.Resampling.LANCZOS), random))
    return pictures, [number % 2 for number in range(count)]


def bursts(count: int, seed: int) -> Pictures:
    """Scenes of five frames each, where the object moves by 3 to 8 % of the frame in between."""
    random = Random(seed)
    pictures = []
    for scene in range(math.ceil(count / 5)):
        background = _scene(random)
        right, down = random.uniform(-8, 8), random.uniform(-8, 8)
        angle = random.uniform(0, 2 * math.pi)
        for _ in range(5):
            picture = background.copy()
            _object(
                ImageDraw.Draw(picture), Random(seed + 10_000 + scene), 0.2, right=right, down=down
            )
            far = random.uniform(0.03, 0.08) * SIDE
            right, down = right + far * math.cos(angle), down + far * math.sin(angle)
            pictures.append(_camera(picture, random))
    return pictures[:count], [number // 5 % 4 for number in range(count)]


def plain_colours(count: int, seed: int) -> Pictures:
    """One colour each."""
    random = Random(seed)
    colours = [tuple(random.randrange(256) for _ in range(3)) for _ in range(count)]
    pictures = [_camera(Image.new("RGB", (SIDE, SIDE), colour), random) for colour in colours]
    return pictures, [number % 4 for number in range(count)]


FAMILIES: dict[str, Callable[[int, int], Pictures]] = {
    make.__name__: make
    for make in (same_background, same_object, text_pages, bursts, plain_colours)
}


def _wall(seed: int) -> Image.Image:
    """A wall that is nearly even: a slow change of light, and a grain of its own."""
    generator = np.random.default_rng(seed)
    light = Image.fromarray(generator.integers(150, 235, (3, 3, 3), dtype=np.uint8))
    smooth = np.asarray(light.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
    grain = generator.normal(0, 4, (SIDE, SIDE, 1))
    return Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))


def _scene(random: Random) -> Image.Image:
    """A background of its own: smooth colours and some shapes."""
    generator = np.random.default_rng(random.randrange(2**32))
    coarse = Image.fromarray(generator.integers(20, 236, (6, 6, 3), dtype=np.uint8))
    picture = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(10):
        _object(draw, random, random.uniform(0.03, 0.1), reach=0.5)
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def _object(
    draw: ImageDraw.ImageDraw,
    random: Random,
    radius: float,
    *,
    reach: float = 0.06,
    right: float = 0.0,
    down: float = 0.0,
) -> None:
    """A polygon of 4 to 9 uneven corners with a smaller one of another colour inside."""
    corners = random.randint(4, 9)
    turn = random.uniform(0, 2 * math.pi)
    lengths = [random.uniform(0.55, 1.25) for _ in range(corners)]
    middle = [SIDE * (0.5 + random.uniform(-reach, reach)) for _ in range(2)]
    for size in (radius, radius * 0.45):
        points = [
            (
                middle[0]
                + right
                + SIDE * size * lengths[k] * math.cos(turn + math.tau * k / corners),
                middle[1]
                + down
                + SIDE * size * lengths[k] * math.sin(turn + math.tau * k / corners),
            )
            for k in range(corners)
        ]
        draw.polygon(points, fill=tuple(random.randrange(256) for _ in range(3)))


def _camera(picture: Image.Image, random: Random) -> Image.Image:
    """Noise of its own, as two exposures of one thing have it."""
    generator = np.random.default_rng(random.randrange(2**32))
    pixels = np.asarray(picture, float) + generator.normal(0, 2, (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))
