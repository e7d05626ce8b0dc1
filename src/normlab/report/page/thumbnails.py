"""Images inside a page: small JPEGs as data: addresses."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SIDE = 64
"""The largest side of an image in a page, in pixels."""


@dataclass(frozen=True)
class Picture:
    """An image in a page."""

    name: str
    address: str
    """A data: address."""


def thumbnail(name: str, pixels: UInt8[np.ndarray, "s s 3"]) -> Picture:
    """Prepared pixels, reduced to 64 a side."""
    image = Image.fromarray(pixels)
    if image.width > SIDE:
        image = image.resize((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return Picture(name, f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}")
