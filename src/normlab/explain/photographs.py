"""The photograph behind a network's square input, and the map laid back onto it.

squash   the square covers the whole photograph, in other proportions
fit      the square is larger than the photograph: bars above and below, or beside
crop     the square is the centre of the photograph; what lies outside was never seen
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageOps

from normlab.data.dataset import Dataset
from normlab.data.decode import PIXEL_LIMIT, prepare_heif, quiet_pillow, to_rgb
from normlab.data.sources.base import Source
from normlab.data.sources.by_location import open_source
from normlab.errors import DataError

LONGEST = 640
"""Pixels of the longer side: a larger photograph is made smaller, for a gallery has many."""
SHORTEST = 160
"""Pixels of the shorter side: a smaller picture is enlarged by whole pixels, so that a map on it
is seen."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A picture as it was taken, and where in it the network's input lies."""

    pixels: UInt8[np.ndarray, "h w 3"]
    box: tuple[float, float, float, float]
    """Left, top, right and bottom of the square that became the input, in pixels of this picture;
    it may reach beyond the edges (fit)."""

    def laid_on(self, values: Float[np.ndarray, "s s"]) -> Float[np.ndarray, "h w"]:
        """A map of the network's input, on this picture; 0 where the network saw nothing."""
        left, top, right, bottom = (round(edge) for edge in self.box)
        small = Image.fromarray(np.asarray(values, np.float32))
        size = (max(1, right - left), max(1, bottom - top))
        placed = Image.new("F", (self.pixels.shape[1], self.pixels.shape[0]), 0.0)
        placed.paste(small.resize(size, Image.Resampling.BILINEAR), (left, top))
        return np.asarray(placed)

    @property
    def seen(self) -> Bool[np.ndarray, "h w"]:
        """Which pixels were part of the network's input."""
        height, width = self.pixels.shape[:2]
        left, top, right, bottom = self.box
        rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
        inside = (rows >= top) & (rows <= bottom)
        return np.outer(inside, (columns >= left) & (columns <= right))


def input_box(width: int, height: int, resize: str) -> tuple[float, float, float, float]:
    """Where the square input of a resize policy lies in a picture of this size.

    >>> input_box(40, 20, "crop"), input_box(40, 20, "fit")
    ((10.0, 0.0, 30.0, 20.0), (0.0, -10.0, 40.0, 30.0))
    """
    if resize == "squash":
        return (0.0, 0.0, float(width), float(height))
    side = min(width, height) if resize == "crop" else max(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)


def photograph(content: bytes, resize: str) -> Photograph:
    """The picture of encoded bytes, upright, in RGB.

    Raises:
        DataError: not an image, or too large.
    """
    try:
        with quiet_pillow():
            prepare_heif(content)
            with Image.open(io.BytesIO(content)) as image:
                if image.size[0] * image.size[1] > PIXEL_LIMIT:
                    raise DataError(f"is over the limit of {PIXEL_LIMIT} px")
                if image.format == "JPEG":
                    image.draft("RGB", (2 * LONGEST, 2 * LONGEST))
                picture = to_rgb(ImageOps.exif_transpose(image), image.format)
    except DataError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever they like
        raise DataError(f"cannot be decoded: {error}") from None
    return _sized(picture, resize)


def of_input(pixels: UInt8[np.ndarray, "s s 3"]) -> Photograph:
    """The network's own input as a photograph, where the original cannot be read."""
    return _sized(Image.fromarray(pixels), "squash")


def photographs(
    dataset: Dataset,
    ids: Iterable[str],
    inputs: UInt8[np.ndarray, "n s s 3"],
    resize: str,
) -> tuple[Photograph, ...]:
    """The photograph of every image by its name; its input where the source has it no more."""
    source = _source_of(dataset)
    found = []
    for name, own in zip(ids, inputs, strict=True):
        try:
            content = None if source is None else source.read(str(name))
            found.append(of_input(own) if content is None else photograph(content, resize))
        except (OSError, DataError, KeyError, ValueError):
            found.append(of_input(own))
    return tuple(found)


def _source_of(dataset: Dataset) -> Source | None:
    try:
        return open_source(dataset.manifest.location)
    except (OSError, DataError):
        return None


def _sized(picture: Image.Image, resize: str) -> Photograph:
    width, height = picture.size
    if max(width, height) > LONGEST:
        picture = ImageOps.contain(picture, (LONGEST, LONGEST), Image.Resampling.LANCZOS)
    elif min(width, height) < SHORTEST and max(width, height) <= LONGEST // 2:
        times = min(-(-SHORTEST // min(width, height)), LONGEST // max(width, height))
        picture = picture.resize((times * width, times * height), Image.Resampling.NEAREST)
    return Photograph(np.asarray(picture), input_box(*picture.size, resize))
