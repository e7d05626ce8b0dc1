"""Pictures with their maps laid over them, and the sheet of a class as one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

TILE = 160
"""Side of a picture in a sheet, in pixels."""
_GAP, _TEXT, _MARGIN = 12, 40, 24
_PAPER, _INK, _MUTED = "#ffffff", "#1b1f24", "#57616b"
_RIGHT, _WRONG = "#0a6b4d", "#a83a00"

_INFERNO = np.array(
    [
        *((0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85)),
        *((227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164)),
    ],
    float,
)
"""Nine stops of "inferno" (van der Walt & Smith 2015): lightness rises evenly with the value."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture and what stands below it."""

    pixels: UInt8[np.ndarray, "s s 3"]
    lines: tuple[str, ...]
    correct: bool | None = None


def colour(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values in [0, 1] as colours of inferno."""
    stops = np.linspace(0, 1, len(_INFERNO))
    channels = [np.interp(values, stops, _INFERNO[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def overlay(
    pixels: UInt8[np.ndarray, "s s 3"], values: Float[np.ndarray, "s s"], side: int = TILE
) -> UInt8[np.ndarray, "t t 3"]:
    """The picture in grey, dimmed, with the map's colour laid on where the map is strong.

    Args:
        pixels: as the network saw them.
        values: the map, in [0, 1]; larger ones are drawn as 1.
        side: of the result, in pixels.
    """
    values = np.clip(values, 0, 1).astype(np.float32)
    size = (side, side)
    # In grey: the map's colours would mix with those of the picture.
    grey = Image.fromarray(enlarged(pixels, side)).convert("L").convert("RGB")
    picture = np.asarray(grey, np.float32)
    large = Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)
    strength = np.clip(np.asarray(large), 0, 1)
    share = (0.4 + 0.4 * strength)[..., None]
    mixed: np.ndarray = (1 - share) * picture + share * colour(strength)
    return mixed.round().astype(np.uint8)


def enlarged(pixels: UInt8[np.ndarray, "s s 3"], side: int = TILE) -> UInt8[np.ndarray, "t t 3"]:
    """The picture resized to a square of this side."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def png(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture encoded as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def sheet(
    title: str, subtitle: str, groups: Sequence[tuple[str, Sequence[Sequence[Tile]]]]
) -> bytes:
    """A PNG: groups of rows of tiles, each group with its heading.

    Args:
        title: of the sheet.
        subtitle: one line below it.
        groups: heading, and the group's columns; a column is an image: the picture first, then
            one overlay an arm.
    """
    columns = max((len(images) for _, images in groups), default=1)
    width = 2 * _MARGIN + max(columns, 3) * (TILE + _GAP) - _GAP
    height = _MARGIN + 60
    for _, images in groups:
        height += 28 + max((len(tiles) for tiles in images), default=0) * (TILE + _TEXT) + 16
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, ImageFont.load_default(22))
    draw.text((_MARGIN, _MARGIN + 24), subtitle, _MUTED, ImageFont.load_default(13))
    top = _MARGIN + 60
    for heading, images in groups:
        draw.text((_MARGIN, top), heading, _INK, ImageFont.load_default(15))
        top += 28
        for column, tiles in enumerate(images):
            left = _MARGIN + column * (TILE + _GAP)
            for row, tile in enumerate(tiles):
                place = (left, top + row * (TILE + _TEXT))
                _draw_tile(canvas, draw, tile, place)
        top += max((len(tiles) for tiles in images), default=0) * (TILE + _TEXT) + 16
    return png(np.asarray(canvas))


def _draw_tile(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, place: tuple[int, int]
) -> None:
    left, top = place
    canvas.paste(Image.fromarray(tile.pixels), place)
    ink = {True: _RIGHT, False: _WRONG, None: _MUTED}[tile.correct]
    font = ImageFont.load_default(12)
    for number, line in enumerate(tile.lines):
        draw.text((left, top + TILE + 3 + 15 * number), _fitted(line, font), ink, font)


def _fitted(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(line) <= TILE:
        return line
    while line and font.getlength(line + "…") > TILE:
        line = line[:-1]
    return line + "…"
