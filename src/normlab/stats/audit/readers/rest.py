"""reStructuredText: simple and grid tables, `list-table` and `csv-table`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from normlab.stats.audit.grid import EMPTY, Cell, RawTable, rectangular
from normlab.stats.audit.readers.markup import clean

_SIMPLE = re.compile(r"\s*=+(?:\s+=+)+\s*")
_GRID = re.compile(r"\s*\+(?:[-=]+\+)+\s*")
_DIRECTIVE = re.compile(r"(\s*)\.\.\s+(list-table|csv-table|table)::\s*(.*)")

Rows = list[list[Cell]]
Found = tuple[RawTable, int]


def find_rest(lines: Sequence[str], folder: Path | None = None) -> Iterator[Found]:
    """The tables of these lines, and the last line of each; `folder` is where `:file:` looks."""
    index = 0
    caption = ""
    while index < len(lines):
        directive = _DIRECTIVE.fullmatch(lines[index])
        found = None
        if directive is not None and directive[2] == "table":
            caption = directive[3]
        elif directive is not None:
            found = _directive(lines, index, directive, folder)
        elif _SIMPLE.fullmatch(lines[index]):
            found = _simple(lines, index, caption)
        elif _GRID.fullmatch(lines[index]):
            found = _grid(lines, index, caption)
        if found is None:
            index += 1
            continue
        if found[0].cells:
            yield found
        index = max(found[1], index + 1)
        caption = ""


def _simple(lines: Sequence[str], start: int, caption: str) -> Found | None:
    spans = [match.span() for match in re.finditer("=+", lines[start])]
    borders = [start]
    rows: Rows = []
    heads = 0
    for index in range(start + 1, len(lines)):
        line = lines[index]
        if _SIMPLE.fullmatch(line):
            borders.append(index)
            if len(borders) == 2 and any(
                _SIMPLE.fullmatch(later) for later in _block(lines, index + 1)
            ):
                heads = len(rows)
                continue
            break
        if re.fullmatch(r"[\s-]*-[\s-]*", line) and rows and re.search(r"-{3,}", line):
            rows[-1] = _spanned(lines[index - 1], line, spans)
        elif line.strip():
            cells = [Cell(clean(part)) for part in _slices(line, spans)]
            rows.append(cells)
    else:
        return None
    table = RawTable(rectangular(rows), start + 1, header_rows=heads or None, caption=caption)
    return table, borders[-1] + 1


def _block(lines: Sequence[str], start: int) -> Iterator[str]:
    """The lines from `start` on; a simple table may hold single empty lines."""
    empty = 0
    for line in lines[start:]:
        empty = 0 if line.strip() else empty + 1
        if empty > 1:
            return
        yield line


def _slices(line: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    starts = [first for first, _ in spans]
    ends = [*starts[1:], max(len(line), spans[-1][1])]
    return [line[first:end] for first, end in zip(starts, ends, strict=True)]


def _spanned(line: str, dashes: str, spans: Sequence[tuple[int, int]]) -> list[Cell]:
    """A row of heads above dashes; each run of dashes joins the columns that it covers."""
    row: list[Cell] = []
    runs = [match.span() for match in re.finditer("-+", dashes)]
    for first, end in runs:
        covered = [span for span in spans if span[0] < end and span[1] > first]
        text = clean(line[first : max(end, covered[-1][1]) if covered else end])
        row += [Cell(text, copied=number > 0) for number in range(len(covered))]
    return row


def _grid(lines: Sequence[str], start: int, caption: str) -> Found:
    """A grid table; a place without a border above goes on with the cell above."""
    end = start
    while end < len(lines) and lines[end].strip().startswith(("+", "|")):
        end += 1
    block = [line.rstrip() for line in lines[start:end]]
    separators = [line for line in block if line.lstrip().startswith("+") or "+-" in line]
    edges = sorted({m.start() for line in separators for m in re.finditer(r"\+", line)})
    rows: Rows = []
    heads = None
    texts = [""] * (len(edges) - 1)
    joined = [False] * (len(edges) - 1)
    opened = [True] * (len(edges) - 1)
    for line in block[1:]:
        ruled = [bool(re.fullmatch(r"[-=]+", line[a + 1 : b])) for a, b in _pairs(edges)]
        if any(ruled):
            rows.append(_close(rows, texts, joined, opened))
            heads = len(rows) if "=" in line and heads is None else heads
            texts, joined, opened = [""] * len(ruled), [False] * len(ruled), ruled
            continue
        open_at = 0
        for number, (a, b) in enumerate(_pairs(edges)):
            if number and line[a : a + 1] not in ("|", "+"):
                joined[number] = True
                texts[open_at] += line[a:b]
            else:
                open_at = number
                texts[number] += " " + line[a + 1 : b]
    return RawTable(rectangular(rows), start + 1, header_rows=heads, caption=caption), end


def _pairs(edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    yield from pairwise(edges)


def _close(
    rows: Rows, texts: Sequence[str], joined: Sequence[bool], opened: Sequence[bool]
) -> list[Cell]:
    row: list[Cell] = []
    for number, text in enumerate(texts):
        if joined[number]:
            row.append(Cell(row[-1].text if row else "", copied=True))
        elif not opened[number] and rows:
            row.append(Cell(rows[-1][number].text, copied=True))
        else:
            row.append(Cell(clean(text.strip(" |"))))
    return row


def _directive(
    lines: Sequence[str], start: int, match: re.Match[str], folder: Path | None
) -> Found | None:
    end = start + 1
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > len(match[1])
    ):
        end += 1
    body = lines[start + 1 : end]
    options = {
        m[1]: m[2].strip() for line in body if (m := re.fullmatch(r"\s*:([\w-]+):\s*(.*)", line))
    }
    content = [line for line in body if not re.fullmatch(r"\s*:[\w-]+:.*", line)]
    rows = _list_rows(content) if match[2] == "list-table" else _csv_rows(content, options, folder)
    if rows is None:
        return None
    digits = options.get("header-rows", "")
    heads = int(digits) if digits.isdigit() else (1 if options.get("header") else None)
    return RawTable(rectangular(rows), start + 1, header_rows=heads, caption=match[3]), end


def _csv_rows(content: Sequence[str], options: dict[str, str], folder: Path | None) -> Rows | None:
    texts = [line.strip() for line in content if line.strip()]
    if options.get("header"):
        texts.insert(0, options["header"])
    if options.get("file"):
        path = (folder or Path()) / options["file"].lstrip("/")
        if not path.is_file():
            return None
        texts += path.read_text(encoding="utf-8", errors="replace").splitlines()
    delimiter = {"tab": "\t"}.get(options.get("delim", ","), options.get("delim", ",")) or ","
    parsed = csv.reader(texts, delimiter=delimiter, skipinitialspace=True)
    return [[Cell(clean(cell)) for cell in row] for row in parsed]


def _list_rows(content: Sequence[str]) -> Rows:
    rows: Rows = []
    for line in content:
        match = re.fullmatch(r"\s*(\*\s*)?-(?:\s+(.*))?", line)
        if match is not None:
            if match[1]:
                rows.append([])
            if rows:
                rows[-1].append(Cell(clean(match[2] or "")))
        elif line.strip() and rows and rows[-1]:
            rows[-1][-1] = Cell(f"{rows[-1][-1].text} {clean(line)}".strip())
    return rows or [[EMPTY]]
