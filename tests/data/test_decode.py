"""Any picture as RGB pixels; anything else as a reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from normlab.data.decode import decode, header_size, quiet_pillow, to_rgb
from normlab.errors import DataError

OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    if kind in OPTIONAL and not features.check(OPTIONAL[kind]):
        pytest.skip(f"this Pillow was built without {kind}")
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


def test_each_of_the_256_greys_has_its_sixteen_bits() -> None:
    """v × 257 is v in both bytes; the steps between go to the nearer one."""
    greys = np.arange(256, dtype=np.uint16).reshape(16, 16)
    for nearby in (0, 100, -100):
        wide = np.clip(greys.astype(np.int64) * 257 + nearby, 0, 65535).astype(np.uint16)
        np.testing.assert_array_equal(pixels(Image.fromarray(wide))[:, :, 2], greys)


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


def huge_header(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG that promises many pixels and holds none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
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


def test_transparency_is_laid_on_white() -> None:
    """White × (1 − α) + colour × α, by hand."""
    assert pixels(plain("LA", (100, 51)))[0, 0].tolist() == [224, 224, 224]
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 0])
    assert pixels(palette, transparency=bytes([255, 51]))[0, 0].tolist() == [244, 224, 204]
    grey = plain("L", 7)
    grey.putpixel((0, 0), 9)
    assert pixels(grey, transparency=9)[0, :2, 0].tolist() == [255, 7]
    coloured = plain("RGB", (7, 8, 9))
    coloured.putpixel((0, 0), (1, 2, 3))
    assert pixels(coloured, transparency=(1, 2, 3))[0, :2, 0].tolist() == [255, 7]


def test_one_bit_is_black_or_white() -> None:
    image = plain("1", 1)
    image.putpixel((2, 0), 0)
    assert pixels(image)[0, :, 1].tolist() == [255, 255, 0, 255]


def test_cmyk_of_a_jpeg() -> None:
    """Red is the sum of magenta and yellow; JPEG rounds a little."""
    got = pixels(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    assert np.abs(got.astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_in_any_byte_order(kind: str) -> None:
    grey = np.full((4, 4), 0x8000, dtype=np.uint16)
    assert np.unique(pixels(Image.fromarray(grey), kind)).tolist() == [128]
    assert np.unique(np.asarray(to_rgb(Image.new("I;16B", (2, 2), 0x8000)))).tolist() == [128]
    assert np.unique(np.asarray(to_rgb(Image.new("I", (2, 2), 0x8000)))).tolist() == [128]


def test_floats_that_are_no_numbers() -> None:
    values = np.array([[0.0, 99.9, np.inf], [np.nan, 255, -np.inf]], np.float32)
    got = np.asarray(to_rgb(Image.fromarray(values)))[:, :, 0]
    assert got.tolist() == [[0, 100, 255], [0, 255, 0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((4, 4), 0.5, np.float32), 128),
        (np.full((4, 4), 100.7, np.float32), 101),
        (np.full((4, 4), 200, np.int32), 200),
        (np.full((4, 4), 30000, np.int32), 117),
        (np.full((4, 4), 300.0, np.float32), "its values go from 300 to 300"),
        (np.full((4, 4), -1, np.int32), "its values go from -1 to -1"),
    ],
)
def test_a_tiff_with_32_bits(values: np.ndarray, expected: int | str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            decode(buffer.getvalue(), 4, "squash")
    else:
        pixels, *_ = decode(buffer.getvalue(), 4, "squash")
        assert np.unique(pixels).tolist() == [expected]


def test_sixteen_bits_with_a_transparent_grey() -> None:
    image = Image.fromarray(np.array([[30000, 100]], np.uint16))
    image.info["transparency"] = 30000
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == [255, 0]


CORNERS = np.array([[10, 20], [30, 40]], dtype=np.uint8)
"""Each corner of the upright picture has a grey of its own."""


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, CORNERS),
        (2, CORNERS[:, ::-1]),
        (3, CORNERS[::-1, ::-1]),
        (4, CORNERS[::-1]),
        (5, CORNERS.T),
        (6, np.rot90(CORNERS)),
        (7, CORNERS[::-1, ::-1].T),
        (8, np.rot90(CORNERS, -1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_every_orientation_comes_out_upright(
    kind: str, orientation: int, stored: np.ndarray
) -> None:
    """EXIF 2.3, tag 0x0112: how the stored rows and columns lie in the upright picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.kron(stored, np.ones((8, 8), np.uint8)))
    got = decode(encoded(image, kind, exif=exif), 16, "squash")[0]
    expected = np.kron(CORNERS, np.ones((8, 8), np.uint8))
    assert np.abs(got[:, :, 0].astype(int) - expected).max() <= 1


def test_a_size_that_fits_changes_no_pixel() -> None:
    for resize in ("squash", "fit", "crop"):
        got, width, height = decode(encoded(NOISE), 64, resize)
        np.testing.assert_array_equal(got, np.asarray(NOISE))
        assert (width, height) == (64, 64)


def test_policies_on_a_tall_picture() -> None:
    """Three bands of 8×8: squash keeps all, crop the middle one, fit all and black bars beside."""
    bands = np.repeat(np.array([60, 120, 180], np.uint8), 8)[:, None].repeat(8, 1)
    content = encoded(Image.fromarray(bands))
    assert np.unique(decode(content, 8, "crop")[0]).tolist() == [120]
    fitted = decode(content, 24, "fit")[0][:, :, 0]
    assert fitted[[3, 12, 20], 12].tolist() == [60, 120, 180]
    np.testing.assert_array_equal(fitted[:, 8:16], bands)
    assert fitted[:, :8].max() == fitted[:, 16:].max() == 0
    squashed = decode(content, 24, "squash")[0][:, :, 0]
    np.testing.assert_array_equal(squashed, bands[:, :1].repeat(24, 1))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "BMP", "PPM", "JPEG2000"])
def test_other_formats(kind: str) -> None:
    assert np.abs(pixels(plain("RGB", (255, 0, 0)), kind).astype(int) - [255, 0, 0]).max() <= 2


def test_the_size_in_the_header() -> None:
    assert header_size(encoded(Image.new("L", (12, 7)))) == (12, 7)
    for content in (b"", b"text", huge_header()):
        with pytest.raises(DataError, match="cannot be read"):
            header_size(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "JPEG2000", "AVIF"])
def test_damaged_bytes_give_pixels_or_a_reason(kind: str) -> None:
    """Whatever Pillow's plugins raise on them, a user gets one kind of error."""
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}
    content = np.frombuffer(encoded(NOISE.resize((24, 24)), kind, **options), np.uint8)
    reasons = 0
    with quiet_pillow():
        for number in range(60):
            harmed = content.copy()
            places = random.integers(0, 200 if number % 2 else len(content), 5)
            harmed[places % len(content)] = random.integers(0, 256, 5)
            if number % 3 == 0:
                harmed = harmed[: random.integers(len(content))]
            try:
                assert decode(harmed.tobytes(), 8, "squash")[0].shape == (8, 8, 3)
            except DataError:
                reasons += 1
    assert reasons > 0


def test_what_pillow_remarks_does_not_reach_the_user(recwarn) -> None:
    """A picture of 90 million pixels is large, not an attack: Pillow would warn of it."""
    large = huge_header(10_000, 9_000)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(DataError):
        decode(large, 8, "squash")
    recwarn.clear()
    with quiet_pillow(), pytest.raises(DataError, match="cannot be decoded"):
        decode(large, 8, "squash")
    assert header_size(large) == (10_000, 9_000)
    assert not recwarn
