"""The rows of a table of any kind: its columns, and then line after line."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from normlab.data.tables.coco import coco_rows, is_coco
from normlab.errors import DataError, MissingExtraError
from normlab.inputs import parse_json, reading
from normlab.text import without_apostrophe

Row = tuple[int, Sequence[str]]
"""The number of the line and its values, in the order of the columns."""
DELIMITERS = "\t;,|"
_SEP = re.compile(r"\ufeff?sep=(.)\s*\r?\n?$")


@dataclass(frozen=True)
class Table:
    """Columns, and the rows from the first one on, as often as they are asked for."""

    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]


def read_table(content: bytes, location: str) -> Table:
    """The table in the bytes of a file, by the ending of its name.

    Raises:
        DataError: it cannot be read; says why.
        MissingExtraError: Parquet needs a library that is not installed.
    """
    ending = location.lower().rpartition(".")[2]
    if ending == "parquet":
        return _parquet(content, location)
    text = _text(content, location)
    if ending == "json":
        return _json(text, location)
    return _json_lines(text, location) if ending in ("jsonl", "ndjson") else _csv(text, location)


def csv_header(content: bytes) -> Sequence[str]:
    """The columns of a CSV or TSV; none where it cannot be read."""
    try:
        text = content.decode(_encoding(content), errors="replace")
        return _csv(text, "").columns
    except DataError:
        return ()


def _encoding(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if utf16 else "utf-8-sig"


def _text(content: bytes, location: str) -> str:
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError:
        raise DataError(f"{location} is not UTF-8 text; save the table as UTF-8") from None
    if "\0" in text[:1000]:
        raise DataError(
            f"{location} is text of another encoding (UTF-16 without its mark?); save the table as "
            "UTF-8"
        )
    return text


def _csv(text: str, location: str) -> Table:
    lines = io.StringIO(text, newline=None)  # a line may end as on any system
    first = lines.readline()
    said = _SEP.match(first)  # Excel's own line before the header
    if said:
        start, header, delimiter = lines.tell(), lines.readline(), said[1]
    else:
        start, header = 0, first
        delimiter = max(DELIMITERS, key=header.count) if _has_delimiter(header) else ","

    def rows() -> Iterator[Row]:
        lines.seek(start)
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for values in reader:
                yield reader.line_num + bool(said), [without_apostrophe(cell) for cell in values]
        except csv.Error as error:
            raise DataError(
                f"{location} line {reader.line_num + bool(said)}: {error}; is a quotation mark "
                "left open?"
            ) from None

    def below_header() -> Iterator[Row]:
        found = rows()
        next(found, None)
        return ((number, values) for number, values in found if values)

    return Table(tuple(next(rows(), (0, ()))[1]), below_header)


def _has_delimiter(header: str) -> bool:
    return any(sign in header for sign in DELIMITERS)


def _json_lines(text: str, location: str) -> Table:
    entries: list[tuple[int, dict[str, object]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        entry = parse_json(line, f"{location} line {number}", "write it again")
        if not isinstance(entry, dict):
            raise DataError(f"{location} line {number} is no object; write {{…}} on every line")
        entries.append((number, entry))
    return _of_objects(entries)


def _json(text: str, location: str) -> Table:
    content = parse_json(text, location, "write it again")
    if isinstance(content, list) and all(isinstance(entry, dict) for entry in content):
        return _of_objects(list(enumerate(content, start=1)))
    if not isinstance(content, dict) or not is_coco(content):
        raise DataError(
            f"{location} is neither COCO (images, annotations, categories) nor a list of objects "
            "with a path and a label; write it so, or give a .csv"
        )
    return _of_objects(list(enumerate(coco_rows(content, location), start=1)))


def _parquet(content: bytes, location: str) -> Table:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "parquet") from None
    with reading(f"{location} is no readable Parquet", "write it again"):
        table = parquet.read_table(io.BytesIO(content))
    schema = table.schema
    packed = [f.name for f in schema if str(f.type).startswith(("struct<bytes", "binary"))]
    if packed:
        raise DataError(
            f"{location} holds the images themselves (column {packed[0]}); give the data set by "
            "its name, hf:NAME, or write its images into folders of classes"
        )
    return _of_objects(list(enumerate(table.to_pylist(), start=1)))


def _of_objects(entries: Sequence[tuple[int, dict[str, object]]]) -> Table:
    columns = tuple(dict.fromkeys(key for _, entry in entries for key in entry))
    return Table(
        columns,
        lambda: (
            (number, [_value(entry.get(column)) for column in columns]) for number, entry in entries
        ),
    )


def _value(value: object) -> str:
    if isinstance(value, list):
        return _value(value[0]) if len(value) == 1 else repr(value)
    return "" if value is None else str(value)
