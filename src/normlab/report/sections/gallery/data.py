"""Pictures that other verbs left in the study, put into the page: scaled down, never as markup."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

MAX_WIDTH = 1100
"""Pixels; the page is never wider than this for a figure."""
MAX_PICTURES = 16
MAX_BYTES = 1_200_000
"""The most bytes of all pictures together: a page is sent by mail."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".svg")


@dataclass(frozen=True)
class Picture:
    """A picture as a data: address, which no script can run in."""

    name: str
    address: str
    bytes: int


@dataclass(frozen=True)
class PictureGallery:
    """The pictures of a folder, and what was left out of them."""

    pictures: tuple[Picture, ...]
    left_out: tuple[str, ...]
    """A sentence each."""


def pictures(study: Path, folder: str) -> PictureGallery | None:
    """The pictures under `study/folder`, by name; None if there are none."""
    root = study / folder
    if not root.is_dir():
        return None
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        return None
    shown: list[Picture] = []
    left_out: list[str] = []
    for file in files:
        name = file.relative_to(root).as_posix()
        try:
            picture = _picture(file, name)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            left_out.append(f"{folder}/{name} cannot be read: {error}")
            continue
        if len(shown) == MAX_PICTURES or sum(p.bytes for p in shown) + picture.bytes > MAX_BYTES:
            left_out.append(f"{folder}/{name} is left out to keep the page small")
        else:
            shown.append(picture)
    return PictureGallery(tuple(shown), _shortened(left_out))


def _picture(file: Path, name: str) -> Picture:
    if file.suffix.lower() == ".svg":
        content, kind = file.read_bytes(), "svg+xml"
    else:
        with Image.open(file) as image:
            scaled = image.convert("RGB")
        if scaled.width > MAX_WIDTH:
            scaled = scaled.resize(
                (MAX_WIDTH, max(1, round(scaled.height * MAX_WIDTH / scaled.width)))
            )
        buffer = io.BytesIO()
        scaled.save(buffer, "JPEG", quality=86, optimize=True)
        content, kind = buffer.getvalue(), "jpeg"
    text = base64.b64encode(content).decode()
    title = Path(name).with_suffix("").as_posix().replace("-", " ").replace("_", " ")
    return Picture(title, f"data:image/{kind};base64,{text}", len(text))


def _shortened(sentences: Sequence[str], limit: int = 6) -> tuple[str, ...]:
    if len(sentences) <= limit:
        return tuple(sentences)
    return (*sentences[:limit], f"and {len(sentences) - limit} more")
