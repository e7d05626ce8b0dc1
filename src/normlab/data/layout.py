"""Names to items: the class and the part of an image follow from the folders that it lies in.

    <class>/…/image            or            train|val[|test]/<class>/…/image

with any common top folders left away; the same rule in a folder and in a zip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from normlab.errors import DataError

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jp2", "png", "gif", "webp", "avif"),
        *("bmp", "tif", "tiff", "ppm", "pgm", "pbm"),
    )
)
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True, order=True)
class Item:
    """One image: its name in the source, class, part and group ("" where there are none)."""

    name: str
    label: str
    part: str = ""
    group: str = ""
    """Images of one group (copies, one animal, one patient) stay on one side of every split."""


def items_by_layout(names: Iterable[str], location: str) -> list[Item]:
    """Items from names like <class>/image or train/<class>/image, ordered by name.

    Raises:
        DataError: no image, or images without a folder that names their class.
    """
    paths = sorted(filter(_is_image, map(PurePosixPath, names)), key=str)
    if not paths:
        raise DataError(f"{location} holds no images; give a folder with one folder per class")
    for path in paths:
        if not str(path).isprintable() and any("\ud800" <= sign <= "\udfff" for sign in str(path)):
            raise DataError(f"{location}: the name {str(path)!r} is not UTF-8; rename the file")
    depth = _common_depth(paths)
    filed = [path for path in paths if len(path.parts) > depth + 1]
    if not filed:
        raise DataError(
            f"the images in {location} are not in folders; make one folder per class, or a table"
        )
    inner = [path for path in filed if len(path.parts) > depth + 2]
    tops = {path.parts[depth].lower() for path in filed}
    if inner and tops <= PARTS.keys():  # train/stray.png has no class and is not in `inner`
        return [Item(str(p), p.parts[depth + 1], PARTS[p.parts[depth].lower()]) for p in inner]
    if {"train", "val"} <= {PARTS.get(path.parts[depth].lower()) for path in inner}:
        others = {p.parts[depth] for p in filed if p.parts[depth].lower() not in PARTS}
        raise DataError(
            f"{location} has images in {', '.join(sorted(others))} beside train and val, which is "
            "neither a part nor a class in one; move it away"
        )
    return [Item(str(p), p.parts[depth]) for p in filed]  # "test" among other classes is one too


def is_hidden(path: PurePosixPath) -> bool:
    """Whether a system put it there for itself."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _is_image(path: PurePosixPath) -> bool:
    return path.suffix.lower() in EXTENSIONS and not is_hidden(path)


def _common_depth(paths: Sequence[PurePosixPath]) -> int:
    """How many leading folders all images share and that name neither a part nor the class."""
    depth = 0
    while all(len(path.parts) > depth + 2 for path in paths):
        names = {path.parts[depth] for path in paths}
        if len(names) > 1 or next(iter(names)).lower() in PARTS:
            break
        depth += 1
    return depth
