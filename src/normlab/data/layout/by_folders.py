"""Names to items: the class and the part of an image follow from the folders that it lies in.

    <class>/…/image            or            train|val[|test]/<class>/…/image

with any common top folders left away; the same rule in a folder and in an archive. Parts may be
spelled in any usual way (parts.py); what is no such layout is refused by name (refusals.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from normlab.data.layout.endings import is_hidden, is_image
from normlab.data.layout.items import LOOSE, Item, Listing, Skipped
from normlab.data.layout.left_out import left_out_notes
from normlab.data.layout.parts import PARTS, parts_among, parts_of_folders
from normlab.data.layout.refusals import (
    refuse_hidden_parts,
    refuse_links,
    refuse_no_classes,
    refuse_other_roots,
)
from normlab.data.layout.spellings import merged
from normlab.errors import DataError

Peek = Callable[[str], bytes]
"""The first bytes of a file."""
UNLABELLED = frozenset(
    ("pred", "predict", "prediction", "unlabeled", "unlabelled", "unsupervised", "inference")
)


@dataclass(frozen=True)
class Layout:
    """Where in a name the part and the class stand."""

    wrapper: str
    """The common top folders, "" or with a "/" at the end."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Folder → part; empty where the folders are classes."""
    doubled: bool = False
    """Whether each part has one more folder around its classes: train/train/<class>/image."""

    @property
    def class_depth(self) -> int:
        """How many folders stand above the class."""
        return self.wrapper.count("/") + bool(self.parts) + self.doubled

    def place(self, name: str) -> tuple[str, str] | None:
        """The class and the part of a file; None where it lies in no class."""
        folders = name.split("/", self.class_depth + 1)
        if len(folders) < self.class_depth + 2 or not name.startswith(self.wrapper):
            return None
        part = ""
        if self.parts:
            part = self.parts.get(folders[self.wrapper.count("/")], "")
            if not part:
                return None
        return sys.intern(folders[self.class_depth]), part


def items_by_layout(
    names: Iterable[str],
    location: str,
    *,
    peek: Peek | None = None,
    links: Sequence[tuple[str, str]] = (),
) -> Listing:
    """Items from names like <class>/image or train/<class>/image, ordered by name.

    The names have no ./ in them. Images outside the folders of the classes are listed as skipped;
    files that are no images are counted in the notes.

    Args:
        names: of all files.
        location: what to call the source in a sentence.
        peek: reads the first bytes of a file, to tell images with an odd ending.
        links: pairs of folders that are one folder; the files are listed under the first.

    Raises:
        DataError: no image, or images without a folder that names their class.
    """
    images: list[str] = []
    others: list[str] = []
    for name in names:
        if is_image(name):
            images.append(name)
        elif not is_hidden(name):
            others.append(name)
    images.sort()
    if not images:
        raise DataError(
            f"{location} holds no images; give a folder with one folder per class"
            + _unread(others, peek)
        )
    for name in images:
        if not name.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in name):
            raise DataError(f"{location}: the name {name!r} is not UTF-8; rename the file")
    layout = _layout_of(images, others, location)
    refuse_links(links, layout.class_depth, layout.wrapper, images, location)
    return _listing(layout, images, others, location, peek)


def _layout_of(images: Sequence[str], others: Sequence[str], location: str) -> Layout:
    """Where part and class stand in these names; refuses what is no layout of classes."""
    depth = _common_depth(images)
    wrapper = "".join(f"{folder}/" for folder in images[0].split("/")[:depth])
    filed = [name for name in images if name.count("/") > depth]
    inner = [name for name in filed if name.count("/") > depth + 1]
    tops = {_folder(name, depth) for name in filed}
    refuse_no_classes(tops, inner, others, depth, location)
    parts = parts_of_folders(tops) if inner else {}
    if not parts:
        found = parts_among(tops) if inner else {}
        rest = tops - found.keys()
        if found and _are_unlabelled(rest, set(found), inner, depth):
            parts = found
    if parts:  # train/stray.png has no class and is not in `inner`
        doubled = _is_doubled(inner, depth, parts)
        return Layout(wrapper, parts, doubled)
    refuse_hidden_parts(filed, inner, depth, location)
    refuse_other_roots(filed, inner, depth, wrapper, location)
    return Layout(wrapper)  # "test" among other classes is a class too


def _listing(
    layout: Layout,
    images: Sequence[str],
    others: Sequence[str],
    location: str,
    peek: Peek | None,
) -> Listing:
    """Items, what is skipped and what a reader must know."""
    found = [Item(name, *place) for name in images if (place := layout.place(name)) is not None]
    items, spelled = merged(found)
    labels = {item.label for item in items}
    left_out, missing = left_out_notes(others, labels, layout.place, peek)
    if len(labels) < 2 and missing:
        raise DataError(f"{location}: {left_out[0].text}; {left_out[0].remedy}")
    skipped: Skipped = ()
    if len(items) < len(images):
        filed = {item.name for item in items}
        skipped = tuple((name, LOOSE) for name in images if name not in filed)
    return Listing(items, skipped, (*left_out, *spelled))


def _unread(others: Sequence[str], peek: Peek | None) -> str:
    """What else lies there, for the sentence that there is no image."""
    notes, _ = left_out_notes(others, set(), lambda name: (name.split("/")[0], ""), peek)
    return f" ({notes[0].text}; {notes[0].remedy})" if notes else ""


def _are_unlabelled(rest: set[str], parts: set[str], inner: Sequence[str], depth: int) -> bool:
    """Whether the folders beside the parts hold images for a competition, without classes."""
    classes = {_folder(name, depth + 1) for name in inner if _folder(name, depth) in parts}
    below = {_folder(name, depth + 1) for name in inner if _folder(name, depth) in rest}
    named = all(UNLABELLED & set(folder.lower().replace("-", "_").split("_")) for folder in rest)
    return named and not (below & (classes - rest))


def _is_doubled(inner: Sequence[str], depth: int, parts: Mapping[str, str]) -> bool:
    """Whether every part has a single folder, and the classes lie in that one.

    With one class a part there would be nothing to compare, so that nothing is misread.
    """
    folders: dict[str, set[str]] = {}
    for name in inner:
        if _folder(name, depth) in parts:
            folders.setdefault(_folder(name, depth), set()).add(_folder(name, depth + 1))
    single = all(len(found) == 1 for found in folders.values())
    deep = [name for name in inner if name.count("/") > depth + 2]
    return single and {_folder(name, depth) for name in deep} >= folders.keys()


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
