"""Encoded bytes to square RGB pixels, the same on every machine with the same Pillow.

Grey, palette, CMYK and 16-bit images become 8-bit RGB (16 bits are scaled, not clipped). Of a TIFF
with 32 bits, whole numbers up to 255 are taken as 8 bits and up to 65,535 as 16, floating point up
to 1 as shares of white and up to 255 as 8 bits; other values are refused. Transparency is laid on
white; the EXIF orientation is applied. Resizing is antialiased (bicubic):

    squash   both sides to the size, proportions are not kept
    fit      the longer side to the size, black bars beside
    crop     the shorter side to the size, the centre of the longer
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from normlab.data.layout.endings import is_heif, reads_heif
from normlab.errors import DataError, UnknownNameError
from normlab.inputs import PARSER_FAULTS

DECODER_VERSION = 2
"""Raised when the same bytes would give other pixels."""
PIXEL_LIMIT = 178_956_970
"""About 13,400 × 13,400: what a header may promise before it counts as a decompression bomb."""
RESIZES = ("squash", "fit", "crop")
DAMAGED_IMAGE: tuple[type[Exception], ...] = (*PARSER_FAULTS, Image.DecompressionBombError)
"""What reading the header of something else than an image may raise."""
_RESAMPLING = Image.Resampling.BICUBIC


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow's remarks on odd files are ours to judge, not the user's to read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode(content: bytes, size: int, resize: str) -> tuple[UInt8[np.ndarray, "s s 3"], int, int]:
    """Pixels of shape (size, size, 3), and the image's own width and height.

    Raises:
        DataError: not an image, truncated, or larger than PIXEL_LIMIT; says which.
    """
    try:
        prepare_heif(content)
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if width * height > PIXEL_LIMIT:
                raise DataError(f"{width}×{height} px is over the limit of {PIXEL_LIMIT} px")
            if image.format == "JPEG":  # decodes at 1/2, 1/4, 1/8, still twice the size we need
                image.draft("RGB", (2 * size, 2 * size))
            upright = ImageOps.exif_transpose(image)
            return np.asarray(_resized(to_rgb(upright, image.format), size, resize)), width, height
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"its header promises more than {PIXEL_LIMIT} px") from None
    except UnidentifiedImageError:
        what = "is empty" if not content else "is not an image"
        raise DataError(what) from None
    except PARSER_FAULTS as error:
        raise DataError(f"cannot be decoded: {error}") from None


def header_size(content: bytes) -> tuple[int, int]:
    """Width and height as the header states them.

    Raises:
        DataError: not an image.
    """
    try:
        prepare_heif(content)
        with quiet_pillow(), Image.open(io.BytesIO(content)) as image:
            return image.size
    except DAMAGED_IMAGE as error:
        raise DataError(f"cannot be read: {error}") from None


def prepare_heif(content: bytes) -> None:
    """Let Pillow read HEIC, where the extra for it is installed.

    Raises:
        DataError: it is HEIC, and the extra is not.
    """
    if not is_heif(content[:12]):
        return
    if not reads_heif():
        raise DataError('is HEIC; to read it install pip install "normlab[heic]"')
    import pillow_heif

    pillow_heif.register_heif_opener()


def resize_pixels(pixels: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Decoded pixels at another size; a square stays a square."""
    return np.asarray(_resized(Image.fromarray(pixels), size, "squash"))


def to_rgb(image: Image.Image, file_format: str | None = None) -> Image.Image:
    """Any mode of Pillow as 8-bit RGB.

    Raises:
        DataError: values of 32 bits that are no grey of a known range.
    """
    if image.mode.startswith("I"):  # 16 bits of grey, in Pillow's several spellings
        grey = np.asarray(image).astype(np.float64)
        transparent = image.info.get("transparency")
        if isinstance(transparent, int):
            grey[grey == transparent] = 65535
        is_bytes = file_format == "TIFF" and image.mode == "I" and grey.max() <= 255
        return _from_grey(grey, 255 if is_bytes else 65535)
    if image.mode == "F":
        grey = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=255.0, neginf=0.0)
        return _from_grey(grey, 1 if grey.max() <= 1 else 255)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        background = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(background, layers).convert("RGB")
    return image.convert("RGB")


def _from_grey(grey: Float[np.ndarray, "h w"], white: int) -> Image.Image:
    low, high = grey.min(), grey.max()
    if not (low >= 0 and high <= white):
        raise DataError(
            f"its values go from {low:g} to {high:g}; convert it to 8 or 16 bits, or to 0 to 1"
        )
    return Image.fromarray((grey * (255 / white)).round().astype(np.uint8)).convert("RGB")


def _resized(image: Image.Image, size: int, resize: str) -> Image.Image:
    target = (size, size)
    match resize:
        case "squash":
            return image.resize(target, _RESAMPLING, reducing_gap=3.0)
        case "fit":
            return ImageOps.pad(image, target, _RESAMPLING, color="black")
        case "crop":
            return ImageOps.fit(image, target, _RESAMPLING)
    raise UnknownNameError("resize policy", resize, RESIZES)
