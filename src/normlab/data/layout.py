"""Names to items: the class and the part of an image follow from the folders that it lies in.

    <class>/…/image            or            train|val[|test]/<class>/…/image

with any common top folders left away; the same rule in a folder and in an archive.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
_LIKE_A_PART = re.compile("train|test|val|dev|eval", re.IGNORECASE)
LOOSE = "lies in no class folder"

Skipped = tuple[tuple[str, str], ...]
"""(name, reason) of images that belong to no class."""


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """One image: its name in the source, class, part and group ("" where there are none)."""

    name: str
    label: str
    part: str = ""
    group: str = ""
    """Images of one group (copies, one animal, one patient) stay on one side of every split."""


class Listing(NamedTuple):
    """What a source holds."""

    items: Sequence[Item]
    skipped: Skipped = ()


def items_by_layout(names: Iterable[str], location: str) -> Listing:
    """Items from names like <class>/image or train/<class>/image, ordered by name.

    The names have no ./ in them. Images outside the folders of the classes are listed as skipped.

    Raises:
        DataError: no image, or images without a folder that names their class.
    """
    names = sorted(filter(is_image, names))
    if not names:
        raise DataError(f"{location} holds no images; give a folder with one folder per class")
    for name in names:
        if not name.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in name):
            raise DataError(f"{location}: the name {name!r} is not UTF-8; rename the file")
    depth = _common_depth(names)
    filed = [name for name in names if name.count("/") > depth]
    if not filed:
        raise DataError(
            f"the images in {location} are not in folders; make one folder per class, or a table"
        )
    inner = [name for name in filed if name.count("/") > depth + 1]
    tops = {_folder(name, depth).lower() for name in filed}
    if inner and tops <= PARTS.keys():  # train/stray.png has no class and is not in `inner`
        items = [Item(n, _folder(n, depth + 1), PARTS[_folder(n, depth).lower()]) for n in inner]
        return _listing(names, items)
    _refuse_hidden_parts(filed, inner, depth, location)
    # "test" among other classes is a class too
    return _listing(names, [Item(name, _folder(name, depth)) for name in filed])


def _refuse_hidden_parts(
    filed: Sequence[str], inner: Sequence[str], depth: int, location: str
) -> None:
    """What would be taken for classes, and is meant as parts, is refused."""
    tops = {_folder(name, depth) for name in filed}
    parts = {PARTS.get(_folder(name, depth).lower(), "") for name in inner}
    if "train" in parts and parts & {"val", "test"}:
        others = sorted(folder for folder in tops if folder.lower() not in PARTS)
        raise DataError(
            f"{location} has images in {', '.join(others)} beside train and "
            f"{'val' if 'val' in parts else 'test'}, which is neither a part nor a class in one; "
            "move it away"
        )
    names = ", ".join(sorted(tops)[:4])
    if len(tops) > 1 and inner and all(_LIKE_A_PART.match(top) for top in tops):
        raise DataError(
            f"the folders {names} in {location} look like parts and not like classes; name them "
            "train, val and test"
        )
    below = {_folder(name, depth + 1).lower() for name in inner}
    if len(tops) > 1 and len(inner) == len(filed) and len(below) > 1 and below <= PARTS.keys():
        raise DataError(
            f"the classes {names} in {location} have the parts {', '.join(sorted(below))} in them; "
            "put the part first, as in train/<class>/image"
        )


def is_hidden(name: str) -> bool:
    """Whether a system put it there for itself."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def is_image(name: str) -> bool:
    """Whether its ending is that of an image and it is not hidden."""
    return posixpath.splitext(name)[1].lower() in EXTENSIONS and not is_hidden(name)


def _listing(names: Sequence[str], items: Sequence[Item]) -> Listing:
    if len(items) == len(names):
        return Listing(items)
    filed = {item.name for item in items}
    return Listing(items, tuple((name, LOOSE) for name in names if name not in filed))


def _folder(name: str, depth: int) -> str:
    """The folder at a depth: one string in memory for all the images in it."""
    return sys.intern(name.split("/", depth + 1)[depth])


def _common_depth(names: Sequence[str]) -> int:
    """How many leading folders all images share and that name neither a part nor the class."""
    depth = 0
    while all(name.count("/") > depth + 1 for name in names):
        folders = {_folder(name, depth) for name in names}
        if len(folders) > 1 or next(iter(folders)).lower() in PARTS:
            break
        depth += 1
    return depth
