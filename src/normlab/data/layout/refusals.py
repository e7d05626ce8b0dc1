"""What would be misread as classes is refused: parts, versions of a set, a parent folder, links."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Sequence

from normlab.data.layout.items import NoClassFoldersError
from normlab.data.layout.parts import PARTS, part_of, parts_among
from normlab.errors import DataError

_LIKE_A_PART = re.compile("train|test|val|dev|eval", re.IGNORECASE)
_ROOTS = frozenset(("data", "dataset", "datasets", "images", "image", "imgs", "photos", "pictures"))
"""Names of folders that hold a data set, and are no class."""
ALIKE = 0.8
"""The share of folders in common from which folders count as versions of one set."""


def refuse_no_classes(
    tops: Collection[str], inner: Sequence[str], others: Sequence[str], depth: int, location: str
) -> None:
    """Images that lie in no folder, or directly in train/ and test/, have no class."""
    if not tops:
        raise NoClassFoldersError(
            f"the images in {location} are not in folders; make one folder per class, or a table"
            + _tables_there(others, location)
        )
    parts = sorted(top for top in tops if part_of(top))
    with_classes = {_folder(name, depth) for name in inner}
    if len(parts) < len(tops):
        return
    bare = [part for part in parts if part not in with_classes]
    if len(parts) > 1 and any(_is_box_file(name) for name in others) and bare:
        raise DataError(
            f"{location} has boxes of a detector (labels/…/*.txt) beside its images, and normlab "
            "compares classifiers of whole images; put the images into train/<class>/ and "
            "val/<class>/"
        )
    rest = {part_of(part) for part in with_classes}
    if not bare or len(rest) > 1:
        return
    if len(parts) > 1 or parts[0].lower() in PARTS:
        raise NoClassFoldersError(
            f"the images in {', '.join(bare)} in {location} lie in no folders of classes; put them "
            f"into {bare[0]}/<class>/, or give a table with the class of each"
            + _tables_there(others, location)
        )


def refuse_hidden_parts(
    filed: Sequence[str], inner: Sequence[str], depth: int, location: str
) -> None:
    """What would be taken for classes, and is meant as parts, is refused."""
    tops = {_folder(name, depth) for name in filed}
    parts = parts_among({_folder(name, depth) for name in inner})
    if parts:
        others = sorted(folder for folder in tops if folder not in parts)
        beside = sorted(parts, key=lambda folder: (parts[folder] != "train", folder))
        raise DataError(
            f"{location} has images in {', '.join(others)} beside {' and '.join(beside)}, which "
            "is neither a part nor a class in one; move it away"
        )
    names = ", ".join(sorted(tops)[:4])
    if len(tops) > 1 and inner and all(_LIKE_A_PART.match(top) for top in tops):
        raise DataError(
            f"the folders {names} in {location} look like parts and not like classes; name them "
            "train, val and test"
        )
    if len(tops) < 2 or len(inner) < len(filed):
        return
    below = {_folder(name, depth + 1) for name in inner}
    if len(below) < 2 or not all(part_of(folder) for folder in below):
        return
    within = {_folder(name, depth + 2) for name in inner if name.count("/") > depth + 2}
    if within:
        raise DataError(_versions(sorted(tops), sorted(within), location, ""))
    raise DataError(
        f"the classes {names} in {location} have the parts {', '.join(sorted(below))} in them; "
        "put the part first, as in train/<class>/image"
    )


def refuse_other_roots(
    filed: Sequence[str], inner: Sequence[str], depth: int, wrapper: str, location: str
) -> None:
    """Versions of one set side by side, and the real folder of classes among other things."""
    below: dict[str, set[str]] = {_folder(name, depth): set() for name in filed}
    with_classes: dict[str, set[str]] = {top: set() for top in below}
    """The folders in each top folder that hold folders themselves."""
    for name in inner:
        below[_folder(name, depth)].add(_folder(name, depth + 1))
        if name.count("/") > depth + 2:
            with_classes[_folder(name, depth)].add(_folder(name, depth + 1))
    direct = {_folder(name, depth) for name in filed if name.count("/") == depth + 1}
    common = set.intersection(*below.values())
    union = set.union(*below.values())
    if len(below) > 1 and not direct and len(common) > 1 and len(common) >= ALIKE * len(union):
        raise DataError(_versions(sorted(below), sorted(common), location, wrapper))
    for top, folders in sorted(below.items()):
        if len(folders) < 2 or top in direct:
            continue
        has_parts = len(set(filter(None, map(part_of, folders & with_classes[top])))) > 1
        rest = below.keys() - {top}
        if has_parts or not rest or (top.lower() in _ROOTS and direct >= rest):
            beside = ", ".join(sorted(rest)[:3]) or "loose images"
            raise DataError(
                f"{location} holds the folder {wrapper}{top} with {', '.join(sorted(folders)[:3])} "
                f"in it, beside {beside}; {_alone(location, wrapper + top)}"
            )


def refuse_links(
    links: Sequence[tuple[str, str]],
    class_depth: int,
    wrapper: str,
    images: Sequence[str],
    location: str,
) -> None:
    """One folder under two names, by a link, would be two classes or parts."""
    for first, second in links:
        one, two = first.split("/"), second.split("/")
        if one[: class_depth + 1] == two[: class_depth + 1] or len(two) <= wrapper.count("/"):
            continue
        if any(name.startswith(f"{first}/") for name in images):
            raise DataError(
                f"{first} and {second} in {location} are one folder, by a link; remove one of them"
            )


def _is_archive(location: str) -> bool:
    return location.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"))


def _alone(location: str, folder: str) -> str:
    """How to give one folder of a source; that of an archive has to be unpacked."""
    if _is_archive(location):
        return f"unpack it and give {folder}"
    return f"did you mean {posixpath.join(location, folder)}?"


def _versions(tops: Sequence[str], folders: Sequence[str], location: str, wrapper: str) -> str:
    folder = wrapper + tops[0]
    source = f"{folder}, unpacked" if _is_archive(location) else posixpath.join(location, folder)
    return (
        f"the folders {', '.join(tops[:4])} in {location} all hold the same folders "
        f"({', '.join(folders[:3])}{', …' if len(folders) > 3 else ''}), so they look like "
        f"versions of one set and not like classes; give one of them: {source} (or, if they are "
        "classes, a table with the class of each image)"
    )


def _tables_there(others: Sequence[str], location: str) -> str:
    """The table that lies beside, as what to give instead."""
    tables = [name for name in others if name.lower().endswith((".csv", ".tsv"))]
    if not tables:
        return ""
    best = min(tables, key=lambda name: (name.count("/"), "train" not in name.lower(), name))
    return f" (perhaps {posixpath.join(location, best)})"


def _is_box_file(name: str) -> bool:
    return name.endswith(".txt") and "labels" in name.split("/")[:-1]


def _folder(name: str, depth: int) -> str:
    return name.split("/", depth + 1)[depth]
