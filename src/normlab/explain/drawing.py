"""Pictures with their maps laid over them, and the sheet of a class as one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont, ImageOps

TILE = 160
"""Side of a picture in a sheet, in pixels."""
STRONGEST = 0.78
"""The share of colour where the map is strongest; the picture stays visible below it."""
_GAP, _TEXT, _MARGIN = 12, 54, 24
_KEY = (220, 12)
"""Width and height of the colour key, in pixels."""
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

    pixels: UInt8[np.ndarray, "h w 3"]
    """In any proportions; drawn as large as a square of TILE pixels allows."""
    lines: tuple[str, ...]
    correct: bool | None = None


def colour(values: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Values in [0, 1] as colours of inferno."""
    stops = np.linspace(0, 1, len(_INFERNO))
    channels = [np.interp(values, stops, _INFERNO[:, c]) for c in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def overlay(
    pixels: UInt8[np.ndarray, "h w 3"],
    values: Float[np.ndarray, "h w"],
    seen: Bool[np.ndarray, "h w"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in grey with the map's colour laid on, the more of it the stronger the map is.

    Where the map is 0 the grey picture is left as it is: a map never makes a picture black.

    Args:
        pixels: the picture.
        values: the map on it, in [0, 1]; larger ones are drawn as 1.
        seen: what the network saw; the rest is drawn pale.
    """
    values = np.clip(values, 0, 1).astype(np.float32)
    # In grey: the map's colours would mix with those of the picture.
    grey = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"), np.float32)
    share = (STRONGEST * np.sqrt(values))[..., None]
    mixed: np.ndarray = (1 - share) * grey + share * colour(values)
    if seen is not None:
        mixed = np.where(seen[..., None], mixed, 0.25 * mixed + 0.75 * 255)
    return mixed.round().astype(np.uint8)


def enlarged(pixels: UInt8[np.ndarray, "s s 3"], side: int = TILE) -> UInt8[np.ndarray, "t t 3"]:
    """The picture resized to a square of this side; whole pixels where it is much smaller."""
    small = 3 * pixels.shape[0] <= side
    how = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize((side, side), how))


def jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture encoded as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=88, optimize=True)
    return buffer.getvalue()


def png(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """The picture encoded as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def sheet(
    title: str,
    subtitle: str,
    groups: Sequence[tuple[str, Sequence[Sequence[Tile]]]],
    key: str = "",
) -> bytes:
    """A PNG: groups of columns of tiles, each group with its heading.

    Args:
        title: of the sheet.
        subtitle: one line below it.
        groups: heading, and the group's columns; a column is an image: the picture first, then
            one overlay an arm.
        key: what the colours stand for; empty where there is no map.
    """
    columns = max((len(images) for _, images in groups), default=1)
    width = 2 * _MARGIN + max(columns, 4) * (TILE + _GAP) - _GAP
    head = _MARGIN + 60 + (44 if key else 0)
    height = head + sum(_height(images) for _, images in groups) + _MARGIN
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN - 6), title, _INK, ImageFont.load_default(22))
    draw.text((_MARGIN, _MARGIN + 24), subtitle, _MUTED, ImageFont.load_default(13))
    if key:
        _draw_key(canvas, draw, key, _MARGIN + 52)
    top = head
    for heading, images in groups:
        draw.text((_MARGIN, top), heading, _INK, ImageFont.load_default(15))
        for column, tiles in enumerate(images):
            left = _MARGIN + column * (TILE + _GAP)
            for row, tile in enumerate(tiles):
                _draw_tile(canvas, draw, tile, (left, top + 28 + row * (TILE + _TEXT)))
        top += _height(images)
    return png(np.asarray(canvas))


def _height(images: Sequence[Sequence[Tile]]) -> int:
    return 28 + max((len(tiles) for tiles in images), default=0) * (TILE + _TEXT) + 16


def _draw_key(canvas: Image.Image, draw: ImageDraw.ImageDraw, key: str, top: int) -> None:
    """The colours from 0 to the largest value, with what they stand for."""
    width, height = _KEY
    ramp = colour(np.linspace(0, 1, width)[None].repeat(height, 0))
    font = ImageFont.load_default(12)
    canvas.paste(Image.fromarray(ramp), (_MARGIN, top))
    draw.text((_MARGIN, top + height + 3), "0", _MUTED, font)
    draw.text((_MARGIN + width - 7, top + height + 3), "1", _MUTED, font)
    draw.text((_MARGIN + width + 14, top - 2), key, _INK, font)


def _draw_tile(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, place: tuple[int, int]
) -> None:
    left, top = place
    how = Image.Resampling.LANCZOS
    picture = ImageOps.contain(Image.fromarray(tile.pixels), (TILE, TILE), how)
    canvas.paste(picture, (left, top + (TILE - picture.height)))
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
