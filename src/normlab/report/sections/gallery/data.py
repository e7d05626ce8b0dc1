"""What `normlab explain` left, as the page shows it: pictures embedded small, never as markup."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from normlab.report.explanation import (
    AnsweredPicture,
    Answers,
    ArmMap,
    Explanation,
    MappedClass,
    MappedPicture,
)

IMAGES = 3
"""Images of either kind that the page shows of a class."""
SIDE = 150
"""Pixels of the longer side of a picture in the page."""
MAX_BYTES = 1_800_000
"""The most bytes of all maps together: a page is sent by mail."""
MAX_WIDTH = 1100
"""Pixels of an older sheet; the page is never wider than this for a figure."""
MAX_PICTURES = 16
SUFFIXES = (".png", ".jpg", ".jpeg", ".svg")
_FAULTS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Picture:
    """A picture as a data: address, which no script can run in."""

    name: str
    address: str
    width: int
    height: int

    @property
    def bytes(self) -> int:
        """What it adds to the page."""
        return len(self.address)


@dataclass(frozen=True)
class PictureGallery:
    """The pictures of a folder, and what was left out of them."""

    pictures: tuple[Picture, ...]
    left_out: tuple[str, ...]
    """A sentence each."""


@dataclass(frozen=True)
class Cell:
    """One arm's map of an image."""

    map: ArmMap
    picture: Picture


@dataclass(frozen=True)
class Row:
    """One image beside its maps."""

    shown: MappedPicture
    picture: Picture
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ClassRows:
    """A class: images that the first arm got right, then wrong."""

    shown: MappedClass
    groups: tuple[tuple[str, tuple[Row, ...]], ...]


@dataclass(frozen=True)
class GalleryView:
    """The maps of a study, an arm beside the other."""

    arms: tuple[str, ...]
    key: str
    withheld: str
    classes: tuple[ClassRows, ...]
    left_out: tuple[str, ...]
    older: PictureGallery | None = None
    """Sheets of a version that left no single pictures."""


@dataclass(frozen=True)
class Answer:
    """A test image and what was said of it."""

    shown: AnsweredPicture
    picture: Picture


@dataclass(frozen=True)
class AnswersView:
    """Images that a network got right and wrong."""

    arm: str
    block: int
    """Counted from 1, as everywhere on the page."""
    right: tuple[Answer, ...]
    wrong: tuple[Answer, ...]


def gallery_view(found: Explanation, folder: Path, images: int | None = IMAGES) -> GalleryView:
    """The maps of a study with their pictures embedded, at most so many of either kind a class."""
    left_out = list(found.left_out)
    classes: list[ClassRows] = []
    room = MAX_BYTES if images is not None else 20 * MAX_BYTES
    for one in found.classes:
        groups = []
        for heading, pictures_ in (("Right", one.correct), ("Wrong", one.incorrect)):
            rows: list[Row] = []
            for shown in pictures_[:images]:
                row = _row(shown, folder)
                if row is None:
                    left_out.append(f"a picture of {one.name} cannot be read")
                    continue
                size = row.picture.bytes + sum(cell.picture.bytes for cell in row.cells)
                if size > room:
                    left_out.append(f"a picture of {one.name} is left out to keep the page small")
                    continue
                room -= size
                rows.append(row)
            if rows:
                groups.append((heading, tuple(rows)))
        classes.append(ClassRows(one, tuple(groups)))
    return GalleryView(found.arms, found.key, found.withheld, tuple(classes), _shortened(left_out))


def answers_view(found: Answers, folder: Path) -> AnswersView:
    """What a network said, with the pictures embedded; one that cannot be read is left out."""
    right, wrong = (
        tuple(
            Answer(one, picture)
            for one in ones
            if (picture := embedded(folder / one.picture, one.id)) is not None
        )
        for ones in (found.right, found.wrong)
    )
    return AnswersView(found.arm, found.block + 1, right, wrong)


def embedded(file: Path, name: str, side: int = SIDE) -> Picture | None:
    """A picture of at most this side as a data: address; None where it cannot be read."""
    try:
        with Image.open(file) as image:
            scaled = image.convert("RGB")
        scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        scaled.save(buffer, "WEBP", quality=80, method=4)
    except _FAULTS:
        return None
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(name, f"data:image/webp;base64,{text}", scaled.width, scaled.height)


def _row(shown: MappedPicture, folder: Path) -> Row | None:
    picture = embedded(folder / shown.picture, shown.id)
    maps = [(one, embedded(folder / one.overlay, one.arm)) for one in shown.maps]
    if picture is None or any(drawn is None for _, drawn in maps):
        return None
    return Row(shown, picture, tuple(Cell(one, drawn) for one, drawn in maps if drawn is not None))


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
        except _FAULTS as error:
            left_out.append(f"{folder}/{name} cannot be read: {error}")
            continue
        if len(shown) == MAX_PICTURES or sum(p.bytes for p in shown) + picture.bytes > MAX_BYTES:
            left_out.append(f"{folder}/{name} is left out to keep the page small")
        else:
            shown.append(picture)
    return PictureGallery(tuple(shown), _shortened(left_out))


def _picture(file: Path, name: str) -> Picture:
    width = height = 0
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
        width, height = scaled.size
    text = base64.b64encode(content).decode()
    title = Path(name).with_suffix("").as_posix().replace("-", " ").replace("_", " ")
    return Picture(title, f"data:image/{kind};base64,{text}", width, height)


def _shortened(sentences: Sequence[str], limit: int = 6) -> tuple[str, ...]:
    if len(sentences) <= limit:
        return tuple(sentences)
    return (*sentences[:limit], f"and {len(sentences) - limit} more")
