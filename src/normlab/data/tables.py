"""Tables to items: a CSV or TSV whose header names a path and a label, perhaps part and group."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePosixPath

from normlab.data.layout import PARTS, Item
from normlab.errors import DataError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image")
LABEL_COLUMNS = ("label", "class", "class_name", "target", "category", "species")
PART_COLUMNS = ("part", "split", "set")
GROUP_COLUMNS = ("group", "source_group")


def items_of_table(
    content: bytes, location: str, folder: PurePosixPath | None = None
) -> list[Item]:
    """Items from a CSV/TSV file with a header, ordered by name; names are put below `folder`.

    Raises:
        DataError: columns or values are missing, or a path has two labels or parts.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{location} is not UTF-8 text; save the table as UTF-8") from None
    columns = _columns(text)
    if columns is None:
        raise DataError(
            f"{location} needs a path column ({', '.join(PATH_COLUMNS)}) and a label column "
            f"({', '.join(LABEL_COLUMNS)}); name them in its first line"
        )
    path_column, label_column, part_column, group_column = columns
    found: dict[str, Item] = {}
    for number, row in _rows(text, location):
        name, label = (row.get(path_column) or "").strip(), (row.get(label_column) or "").strip()
        if not name or not label:
            raise DataError(f"{location} line {number} lacks a path or a label; complete it")
        name = str(PurePosixPath(folder or "", name))  # ./a.png is a.png
        part = (row.get(part_column) or "").strip().lower() if part_column else ""
        if part and part not in PARTS:
            raise DataError(f"{location} line {number}: unknown part {part!r}; train, val or test")
        group = (row.get(group_column) or "").strip() if group_column else ""
        item = Item(name, label, PARTS.get(part, ""), group)
        if found.setdefault(name, item) != item:
            raise DataError(f"{location} gives {name} two labels or parts; keep one line for it")
    if not found:
        raise DataError(f"{location} lists no images; add a line for each")
    return sorted(found.values())


def lists_images(content: bytes) -> bool:
    """Whether the header of a table names a path and a label column."""
    return _columns(content.decode("utf-8-sig", errors="replace")) is not None


def _columns(text: str) -> tuple[str, str, str | None, str | None] | None:
    try:
        header = next(csv.reader(_lines(text), delimiter=_delimiter(text)), [])
    except csv.Error:
        return None
    by_name = {name.strip().lower(): name for name in header}
    path = next((by_name[name] for name in PATH_COLUMNS if name in by_name), None)
    label = next((by_name[name] for name in LABEL_COLUMNS if name in by_name), None)
    part = next((by_name[name] for name in PART_COLUMNS if name in by_name), None)
    group = next((by_name[name] for name in GROUP_COLUMNS if name in by_name), None)
    return (path, label, part, group) if path and label else None


def _rows(text: str, location: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The number of each row's line, and its values by column."""
    reader = csv.DictReader(_lines(text), delimiter=_delimiter(text))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{location} line {reader.line_num}: {error}; is a quotation mark left open?"
        ) from None


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline=None)  # a line may end as on any system


def _delimiter(text: str) -> str:
    first = _lines(text).readline()
    return max("\t;,", key=first.count) if any(c in first for c in "\t;,") else ","
