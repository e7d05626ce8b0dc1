"""Any picture as RGB pixels; anything else as a reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from normlab.data.decode import decode
from normlab.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    return decode(encoded(image, kind, **options), image.width, "squash")[0]


def plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (4, 4), colour)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (plain("RGB", (10, 20, 30)), "PNG", (10, 20, 30)),
        (plain("L", 77), "PNG", (77, 77, 77)),
        (plain("1", 1), "PNG", (255, 255, 255)),
        (plain("LA", (100, 0)), "PNG", (255, 255, 255)),
        (plain("RGBA", (10, 20, 30, 255)), "PNG", (10, 20, 30)),
        (plain("RGBA", (0, 0, 0, 0)), "PNG", (255, 255, 255)),
        (plain("RGBA", (0, 0, 0, 51)), "PNG", (204, 204, 204)),
        (plain("P", 0), "PNG", (0, 0, 0)),
        (plain("CMYK", (0, 0, 0, 255)), "TIFF", (0, 0, 0)),
        (plain("F", 12.0), "TIFF", (12, 12, 12)),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_modes(image: Image.Image, kind: str, expected: tuple[int, int, int]) -> None:
    assert np.unique(pixels(image, kind).reshape(-1, 3), axis=0).tolist() == [list(expected)]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    grey = np.array([[0, 257, 32896, 65535]] * 4, dtype=np.uint16)
    assert pixels(Image.fromarray(grey))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putpixel((0, 0), 0)
    got = pixels(image, transparency=0)
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [200, 0, 0]


def test_exif_orientation_is_applied() -> None:
    image = Image.new("RGB", (8, 8), "black")
    image.paste((255, 255, 255), (0, 0, 8, 2))  # bright on top
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to look at it
    got = pixels(image, "PNG", exif=exif)
    assert got[:, -2:].min() == 255
    assert got[:, :-2].max() == 0


def test_resize_policies() -> None:
    image = Image.new("RGB", (16, 8), "black")
    image.paste((255, 255, 255), (4, 0, 12, 8))  # the middle half
    content = encoded(image)
    squashed, width, height = decode(content, 8, "squash")
    assert (width, height) == (16, 8)
    assert squashed[4, [0, 3, 4, 7], 0].tolist() == [0, 255, 255, 0]
    assert decode(content, 8, "crop")[0].min() == 255
    fitted = decode(content, 16, "fit")[0]
    assert fitted[:4].max() == 0
    assert fitted[-4:].max() == 0
    assert fitted[8, 8, 0] == 255


def test_large_jpegs_are_decoded_reduced_and_come_out_alike() -> None:
    gradient = np.linspace(0, 255, 1024, dtype=np.uint8)
    image = Image.fromarray(np.broadcast_to(gradient[None, :, None], (768, 1024, 3)).copy())
    got, width, height = decode(encoded(image, "JPEG", quality=95), 32, "squash")
    assert (width, height) == (1024, 768)
    whole = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(got.astype(int) - whole).max() <= 6


def huge_header() -> bytes:
    """A PNG that promises 60,000 × 60,000 pixels and holds none."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    return content


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"this is a text", "is not an image"),
        (encoded(NOISE)[:2000], "cannot be decoded"),
        (encoded(NOISE, "JPEG")[:1500], "cannot be decoded"),
        (huge_header(), "promises more than 178956970 px"),
    ],
    ids=["empty", "text", "half a PNG", "half a JPEG", "bomb"],
)
def test_what_is_no_picture(content: bytes, reason: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=reason):
            decode(content, 16, "squash")
