"""CSV and TSV: one table, or several parted by empty lines, each perhaps under a line of title."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from normlab.stats.audit.grid import Cell, RawTable, rectangular
from normlab.stats.audit.readers.markup import clean

Row = list[str]


def find_delimited(text: str, stem: str) -> Iterator[tuple[RawTable, int]]:
    """The tables of a CSV or TSV text, and the last line of each; `stem` is the file's name."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = max("\t;,|", key=lambda sign: _agreement(lines, sign))
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter)
    block: list[Row] = []
    first = before = 0
    for row in reader:
        if any(cell.strip() for cell in row):
            first = first if block else before + 1
            block.append(row)
        elif block:
            yield from _tables(block, first, before, stem)
            block = []
        before = reader.line_num
    if block:
        yield from _tables(block, first, before, stem)


def _agreement(lines: list[str], delimiter: str) -> tuple[int, int]:
    """How many lines hold the delimiter as often as most do; a decimal comma varies, or is one."""
    counts = [line.count(delimiter) for line in lines]
    most = max(set(counts) - {0}, key=counts.count, default=0)
    return (counts.count(most) if most else 0, -"\t;,|".index(delimiter))


def _tables(block: list[Row], first: int, last: int, stem: str) -> Iterator[tuple[RawTable, int]]:
    titles: list[str] = []
    while block and sum(bool(cell.strip()) for cell in block[0]) == 1 and len(block) > 1:
        titles.append(clean(" ".join(block[0]).lstrip("#")))
        block = block[1:]
    if len(block) < 2:
        return
    cells = rectangular([[Cell(clean(cell)) for cell in row] for row in block])
    headings = (stem.replace("_", " "),)
    yield RawTable(cells, first, caption=" ".join(titles), headings=headings), last
