"""Names to a listing: by folders of classes, or by what lies beside images without such folders.

Beside may lie the metadata of a Hugging Face image folder (metadata.csv, .jsonl, .parquet), a COCO
file or one-hot table as Roboflow exports them, or, for WebDataset, the class of each image:
key.jpg with key.cls, or key.json with a label in it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from normlab.data.layout import (
    Item,
    Listing,
    NoClassFoldersError,
    is_hidden,
    is_image,
    items_by_layout,
    merged,
    part_of,
)
from normlab.data.tables import LABEL_COLUMNS, Files, items_of_table, unlisted
from normlab.errors import DataError
from normlab.inputs import parse_json

METADATA = frozenset(
    (
        *("metadata.csv", "metadata.jsonl", "metadata.parquet"),
        *("_classes.csv", "_annotations.coco.json"),
    )
)


class Reads(Protocol):
    """The bytes of files by name."""

    def read(self, name: str) -> bytes:
        """All bytes; OSError where they cannot be read."""

    def peek(self, name: str) -> bytes:
        """The first bytes; OSError where they cannot be read."""


def listing_of(
    names: Sequence[str],
    reader: Reads,
    location: str,
    *,
    links: Sequence[tuple[str, str]] = (),
) -> Listing:
    """Items by the folders of the classes, or by the metadata that lie beside the images.

    Raises:
        DataError: there are no images, or nothing tells their classes.
    """
    try:
        listing = items_by_layout(names, location, peek=reader.peek, links=links)
        _refuse_one_class_beside_tables(listing, names, location)
        return listing
    except NoClassFoldersError:
        seen = [name for name in names if not is_hidden(name)]
        found = _by_metadata(seen, reader, location) or listing_by_keys(seen, reader, location)
        if found is None:
            raise
        return found


def _refuse_one_class_beside_tables(listing: Listing, names: Sequence[str], location: str) -> None:
    """All images in one folder, images/, and a table beside it: the folder is no class.

    Raises:
        NoClassFoldersError: so it is.
    """
    labels = {item.label for item in listing.items if not item.part}
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv", ".jsonl"))]
    if len(labels) == 1 and tables:
        raise NoClassFoldersError(
            f"all images in {location} lie in one folder, {min(labels)}, which is one class; make "
            "one folder per class, or give a table (perhaps "
            f"{posixpath.join(location, min(tables))})"
        )


def metadata_among(names: Iterable[str]) -> list[str]:
    """The files that say the classes of the images beside them."""
    return sorted(name for name in names if posixpath.basename(name).lower() in METADATA)


def _by_metadata(names: Sequence[str], reader: Reads, location: str) -> Listing | None:
    tables = metadata_among(names)
    if not tables:
        return None
    known = set(names)
    items: list[Item] = []
    for table in tables:
        folder = PurePosixPath(table).parent
        where = f"{location}/{table}"
        try:
            content = reader.read(table)
        except OSError as error:
            raise DataError(f"{where} {error}; write it again") from None
        files = Files(known.__contains__, lambda: names)
        items += items_of_table(content, where, folder, files=files, part=part_of(folder.name))
    items, notes = merged(sorted(items))
    return Listing(items, unlisted(names, items, tables[0]), tuple(notes))


def listing_by_keys(names: Sequence[str], reader: Reads, location: str) -> Listing | None:
    """The samples of WebDataset: files that share the key before the first dot of their names."""
    classes = {_key(name): name for name in names if name.endswith((".cls", ".json"))}
    if not classes:
        return None
    items = []
    skipped = []
    for name in sorted(filter(is_image, names)):
        source = classes.get(_key(name))
        label = "" if source is None else _label(source, reader, location)
        if label:
            items.append(Item(name, label, _part_of_shard(name)))
        else:
            skipped.append((name, "has no class beside it (.cls)"))
    if not items:
        return None
    found, notes = merged(items)
    return Listing(found, tuple(skipped), tuple(notes))


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.split('.', 1)[0]}"


def _label(name: str, reader: Reads, location: str) -> str:
    try:
        text = reader.read(name).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{location}: {name} cannot be read ({error}); pack it again") from None
    if name.endswith(".cls"):
        return text
    content = parse_json(text, f"{location}: {name}", "pack it again")
    values: Iterable[object] = (
        (content.get(key) for key in (*LABEL_COLUMNS, "cls")) if isinstance(content, dict) else ()
    )
    return next((str(value) for value in values if isinstance(value, str | int)), "")


def _part_of_shard(name: str) -> str:
    """The part of the shard that a sample lies in: train-000012.tar/key.jpg."""
    shard = name.partition(".tar/")[0] if ".tar/" in name else ""
    return part_of(posixpath.basename(shard).rstrip("0123456789-_."))
