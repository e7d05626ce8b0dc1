"""Tables to items: which image each line names, and its class, part and group."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from normlab.data.layout import Item, Skipped, is_image, part_of
from normlab.data.tables.columns import ONE_HOT, Columns, find_columns, plain_columns
from normlab.data.tables.paths import Files, as_paths, found_files
from normlab.data.tables.rows import Table, csv_header, read_table
from normlab.errors import DataError

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".json")
ONE_CLASS = "normlab compares classifiers with one class an image"
_BETWEEN_LABELS = "|;,"


def items_of_table(
    content: bytes,
    location: str,
    folder: PurePosixPath | None = None,
    *,
    files: Files | None = None,
    part: str = "",
    labelled: bool = True,
) -> list[Item]:
    """Items from a table whose columns are named, ordered by name; names are put below `folder`.

    Args:
        content: the bytes of the table.
        location: its name, whose ending says what it is; CSV without one.
        folder: what its paths are relative to.
        files: the files that it may name; None where they are not looked for.
        part: of all images where there is no column of parts.
        labelled: whether every image must have a class; else "" stands for none.

    Raises:
        DataError: columns or values are missing, or a path has two labels or parts.
        MissingExtraError: the table needs a library that is not installed.
    """
    table = read_table(content, location)
    columns = find_columns(table, location, labelled=labelled)
    lines, names, labels, parts, groups = _values(table, columns, location, part, labelled)
    if not names:
        raise DataError(f"{location} lists no images; add a line for each")
    _refuse_several_classes(lines, labels, location)
    paths = as_paths(names, str(folder or ""), files)
    paths = list(found_files(paths, parts, files, location))
    found: dict[str, Item] = {}
    for path, label, own, group in zip(paths, labels, parts, groups, strict=True):
        item = Item(path, label, own, group)
        if found.setdefault(path, item) != item:
            raise DataError(f"{location} gives {path} two labels or parts; keep one line for it")
    return sorted(found.values())


def lists_images(content: bytes) -> bool:
    """Whether the header of a table names a path and a label column."""
    return plain_columns(csv_header(content))


def unlisted(names: Iterable[str], items: Sequence[Item], table: str) -> Skipped:
    """The images that a table does not name."""
    listed = {item.name for item in items}
    images = sorted(name for name in names if is_image(name) and name not in listed)
    return tuple((name, f"is not in {posixpath.basename(table)}") for name in images)


def _values(
    table: Table, columns: Columns, location: str, part: str, labelled: bool
) -> tuple[list[int], list[str], list[str], list[str], list[str]]:
    """Line, path, class, part and group of every row."""
    lines, names, labels, parts, groups = [], [], [], [], []
    for number, row in table.rows():
        where = f"{location} line {number}"
        name, label = _value(row, columns.path), _value(row, columns.label)
        if columns.one_hot:
            label = _one_hot_label(row, columns, table.columns, where)
        if not name or (labelled and not label):
            what = "a path or a label" if labelled else "a path"
            raise DataError(f"{where} lacks {what}; complete it")
        own = _value(row, columns.part)
        if own and not part_of(own):
            raise DataError(f"{where}: unknown part {own.lower()!r}; train, val or test")
        lines.append(number)
        names.append(name)
        labels.append(sys.intern(label))
        parts.append(sys.intern(part_of(own) if own else part))
        groups.append(_value(row, columns.group))
    return lines, names, labels, parts, groups


def _value(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def _one_hot_label(row: Sequence[str], columns: Columns, header: Sequence[str], where: str) -> str:
    """The column that holds the 1."""
    found = [
        header[place].strip() for place in columns.one_hot if ONE_HOT[row[place].strip().lower()]
    ]
    if len(found) > 1:
        raise DataError(
            f"{where} has several classes ({', '.join(found[:3])}), and {ONE_CLASS}; keep images "
            "of one class, or name the column of the class 'label'"
        )
    if not found:
        raise DataError(
            f"{where} has a 1 in none of its columns of classes "
            f"({', '.join(header[p] for p in columns.one_hot[:4])}); complete or remove it"
        )
    return found[0]


def _refuse_several_classes(lines: Sequence[int], labels: Sequence[str], location: str) -> None:
    """A label that is a list of other labels means an image with several classes."""
    known = set(filter(None, labels))
    for label in sorted(known):
        if _is_list(label, known):
            raise DataError(
                f"{location} line {lines[labels.index(label)]} gives several classes ({label!r}), "
                f"and {ONE_CLASS}; keep images of one class"
            )


def _is_list(label: str, known: set[str]) -> bool:
    if label.startswith("[") and label.endswith("]") and "," in label:
        return True
    pieces = [label.split(sign) for sign in _BETWEEN_LABELS if sign in label]
    numbers = label.split()
    if len(numbers) > 1 and all(number.isdigit() for number in numbers):
        pieces.append(numbers)
    return any(all(piece.strip() in known for piece in found) for found in pieces)
