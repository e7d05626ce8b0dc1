"""Names to items: which class and which part an image belongs to, by the folders it lies in."""

from normlab.data.layout.by_folders import items_by_layout
from normlab.data.layout.endings import EXTENSIONS, is_hidden, is_image
from normlab.data.layout.items import LOOSE, Item, Listing, NoClassFoldersError, Note, Skipped
from normlab.data.layout.parts import PARTS, part_of
from normlab.data.layout.spellings import merged

__all__ = [
    "EXTENSIONS",
    "LOOSE",
    "PARTS",
    "Item",
    "Listing",
    "NoClassFoldersError",
    "Note",
    "Skipped",
    "is_hidden",
    "is_image",
    "items_by_layout",
    "merged",
    "part_of",
]
