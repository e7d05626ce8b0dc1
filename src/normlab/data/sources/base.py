"""What every source of images can do: list them in the order of their names, and read each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property

from normlab.canonical import list_hash
from normlab.data.layout import Item, Note, Skipped

FILE_LIMIT = 512 * 2**20
"""Bytes; a larger file is not an image but an accident or an attack. Uncompressed RGB at the
decoder's limit of pixels is as large."""
RATIO_LIMIT = 100
"""What unpacks to so many times its size holds no photographs …"""
RATIO_FROM = 2**30
"""… once it is as large as this, in bytes."""


class Source(ABC):
    """A set of labelled images. `read` may be called from several threads."""

    location: str
    skipped: Skipped = ()
    """(name, reason) of images that belong to no class and are not among the items."""
    notes: tuple[Note, ...] = ()
    """What a reader must know of how the images were read."""

    @abstractmethod
    def items(self) -> Sequence[Item]:
        """All images, ordered by name, whatever order the storage lists them in."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The encoded bytes of an image; OSError where they cannot be read."""

    @abstractmethod
    def stamps(self) -> Iterable[tuple[int, ...]]:
        """What changes when the images' bytes do, without reading them: size, time, …

        One an item, or one for each of the files that hold them all.
        """

    @cached_property
    def signature(self) -> str:
        """A cheap identity: names, classes, sizes and times of change."""
        items = list_hash([item.name, item.label, item.part] for item in self.items())
        return list_hash([items, list_hash(self.stamps())])


def refuse_size(size: int) -> None:
    """OSError where a file is too large to be an image."""
    if size > FILE_LIMIT:
        raise OSError(f"is no image: {size / 2**20:,.0f} MiB")


def unpacked_limit(packed: int) -> int:
    """How many bytes so many compressed ones may become."""
    return max(RATIO_FROM, RATIO_LIMIT * packed)
