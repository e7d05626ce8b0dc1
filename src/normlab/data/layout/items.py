"""What a source lists: an item an image, what belongs to no class, and what a reader must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from normlab.errors import DataError

LOOSE = "lies in no class folder"

Skipped = tuple[tuple[str, str], ...]
"""(name, reason) of images that belong to no class."""


class NoClassFoldersError(DataError):
    """The images lie in no folders of classes, so that only a table could tell their classes."""


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """One image: its name in the source, class, part and group ("" where there are none)."""

    name: str
    label: str
    part: str = ""
    group: str = ""
    """Images of one group (copies, one animal, one patient) stay on one side of every split."""


class Note(NamedTuple):
    """One sentence about how the images were read, and what to do about it."""

    text: str
    remedy: str
    number: int = 1
    """How many files or classes it is about."""


class Listing(NamedTuple):
    """What a source holds."""

    items: Sequence[Item]
    skipped: Skipped = ()
    notes: tuple[Note, ...] = ()
