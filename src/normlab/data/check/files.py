"""Facts about the files themselves, which no class should depend on: header, size, compression."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int
from PIL import Image

from normlab.data.decode import DAMAGED_IMAGE, prepare_heif, quiet_pillow
from normlab.data.scan import Progress, no_progress, told
from normlab.data.sources.base import Source
from normlab.errors import DataError
from normlab.inputs import PARSER_FAULTS

ORIENTATION_TAG, MAKE_TAG, MODEL_TAG = 0x0112, 0x010F, 0x0110
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "AVIF": {".avif"},
    "BMP": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm"},
    "HEIF": {".heic", ".heif", ".hif"},
    "JPEG2000": {".jp2", ".jpe", ".j2k", ".jpx"},
}
"""The endings under which Pillow's formats are at home."""


@dataclass(frozen=True, eq=False)
class FileFacts:
    """One entry an image, in the order of the manifest."""

    bytes: Int[np.ndarray, " images"]
    formats: np.ndarray
    """Pillow's name of the format, by content; "" where there is no header."""
    modes: np.ndarray
    """Pillow's mode: RGB, L, P, CMYK, RGBA, I;16, …"""
    frames: Int[np.ndarray, " images"]
    orientations: Int[np.ndarray, " images"]
    """EXIF orientation; 1 is upright."""
    quantization: Int[np.ndarray, " images"]
    """Sum of the JPEG luminance table (small: high quality); 0 for other formats."""
    cameras: np.ndarray
    """EXIF make and model, "" without."""
    misnamed: np.ndarray
    """Whether the ending is not one of the format."""
    lowest: Int[np.ndarray, " images"]
    """The smallest value of a grey image of 16 bits; -1 for others."""
    highest: Int[np.ndarray, " images"]
    """The largest value of a grey image of 16 bits; -1 for others."""


def read_facts(source: Source, names: Sequence[str], progress: Progress = no_progress) -> FileFacts:
    """Read the header of every image once more; only grey of 16 bits is decoded."""

    def one(name: str) -> tuple[int, str, str, int, int, int, str, bool, int, int]:
        try:
            content = source.read(name)
        except OSError:
            return 0, "", "", 0, 1, 0, "", False, -1, -1
        facts = header_facts(content, name)
        return (len(content), *facts, *deep_range(content, facts[1]))

    with quiet_pillow(), ThreadPoolExecutor() as pool:
        rows = list(told(pool.map(one, names), "looking at files", len(names), progress))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 10
    return FileFacts(*(np.array(column) for column in columns))


def header_facts(content: bytes, name: str) -> tuple[str, str, int, int, int, str, bool]:
    """Format, mode, frames, orientation, quantization, camera and misnaming of encoded bytes."""
    with contextlib.suppress(DataError):
        prepare_heif(content)
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = image.format or ""
            # Whether there are more frames costs a scan of the file in some formats.
            frames = int(getattr(image, "n_frames", 1)) if kind != "MPO" else 1
            orientation, camera = _exif(image)
            tables = getattr(image, "quantization", None) or {}
            first = int(sum(tables[min(tables)])) if tables else 0
            suffixes = SUFFIXES.get(kind)
            suffix = PurePosixPath(name).suffix.lower()  # images of an array have none
            wrong = suffixes is not None and suffix != "" and suffix not in suffixes
            return kind, image.mode, frames, orientation, first, camera, wrong
    except DAMAGED_IMAGE:
        return "", "", 0, 1, 0, "", False


def deep_range(content: bytes, mode: str) -> tuple[int, int]:
    """The smallest and largest value of a grey image of 16 bits; -1, -1 for another mode."""
    if not mode.startswith("I"):
        return -1, -1
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image)
            return int(pixels.min()), int(pixels.max())
    except DAMAGED_IMAGE:
        return -1, -1


def _exif(image: Image.Image) -> tuple[int, str]:
    if "exif" not in image.info:  # parsing is slow, and most images have none
        return 1, ""
    try:
        exif = image.getexif()
    except PARSER_FAULTS:
        return 1, ""
    orientation = exif.get(ORIENTATION_TAG, 1)
    camera = f"{exif.get(MAKE_TAG, '')} {exif.get(MODEL_TAG, '')}".strip("\0 ")
    return (orientation if orientation in range(1, 9) else 1), camera
