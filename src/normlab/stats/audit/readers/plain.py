"""Running text: a table whose columns are parted by tabs or spaces, under a "Table n" line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from normlab.stats.audit.grid import Cell, RawTable, rectangular
from normlab.stats.audit.heads import read_head
from normlab.stats.audit.numbers import is_missing, parse_cell
from normlab.stats.audit.readers.markup import clean

_TITLE = re.compile(
    r"\s*[#*]*\s*(?:table|tab\.)\s*\w{1,4}(?:\.\d+)?\s*\**\s*(?:[:.–—-].*|\(.*|$)", re.I
)
_PART = r"train(?:ing)?|val(?:id(?:ation)?)?\.?|test"
_RATE = r"acc(?:uracy)?\.?|err(?:or|\.)?|rate"
_PAIRS = (
    (r"micro|macro|weighted", r"f1(?:-score)?|f-score"),
    (r"balanced|mean|final|top\W?\d|(?:acc|err|prec)@\d", _RATE),
    (r"cross-entropy", r"loss"),
    (r"f1|micro-f1|macro-f1", r"scores?"),
    (r"top", r"[15]"),
    (_PART, rf"{_RATE}|loss|micro\S*|macro\S*|top\S*|weighted|balanced|f1\S*|set"),
)
"""Words of a head that go on with the word before."""


def find_plain(lines: Sequence[str]) -> Iterator[tuple[RawTable, int]]:
    """The tables under lines such as "Table 3: Validation", and the last line of each."""
    for index, line in enumerate(lines):
        if not _TITLE.fullmatch(line):
            continue
        start = index + 1
        while start < len(lines) and not lines[start].strip():
            start += 1
        end = start
        while end < len(lines) and lines[end].strip() and not _TITLE.fullmatch(lines[end]):
            end += 1
        block = [text for text in lines[start:end] if not re.fullmatch(r"[\s=+_-]+", text)]
        rows = _rows(block)
        if rows:
            title = line.strip(" #*")
            yield RawTable(rectangular(rows), start + 1, header_rows=1, caption=title), end


def _rows(block: Sequence[str]) -> list[list[Cell]]:
    """The head and the rows with numbers below it; none if the lines are no table."""
    if len(block) < 2 or any("|" in line or "&" in line for line in block[:2]):
        return []
    separator = next(
        (s for s in (r"\t+", r"\s{2,}") if all(len(re.split(s, x.strip())) > 1 for x in block)),
        None,
    )
    if separator == r"\t+" and all("\t" in line for line in block):
        return [[Cell(clean(part)) for part in line.split("\t")] for line in block]
    if separator is not None:
        parts = [re.split(separator, line.strip()) for line in block]
        width = max(len(row) for row in parts[1:])
        if all(len(row) == width for row in parts[1:]) and len(parts[0]) in (width, width - 1):
            head = [""] * (width - len(parts[0])) + parts[0]
            return [[Cell(clean(part)) for part in row] for row in [head, *parts[1:]]]
    return _by_numbers(block)


def _by_numbers(block: Sequence[str]) -> list[list[Cell]]:
    """Rows as a label and numbers at their end; the words above are joined to as many heads."""
    rows = [_label_and_numbers(line) for line in block[1:]]
    rows = [row for row in rows if len(row) > 1 and any(parse_cell(text) for text in row[1:])]
    if not rows:
        return []
    lengths = [len(row) for row in rows]
    width = max(set(lengths), key=lengths.count)
    heads = _heads(block[0])
    if len(heads) > width and all(read_head(head).metric for head in heads[1 - width :]):
        first = " ".join(heads[: len(heads) - width + 1])  # the label's head has several words
        if read_head(first).metric is None:
            heads = [first, *heads[1 - width :]]
    if len(heads) == width - 1 and all(read_head(head).metric for head in heads):
        heads = ["", *heads]  # nothing stands over the labels
    if len(heads) != width:
        return []
    return [[Cell(clean(t)) for t in row] for row in [heads, *(r for r in rows if len(r) == width)]]


def _label_and_numbers(line: str) -> list[str]:
    joined = re.sub(r"\s*(±|\+/-)\s*", r"\1", line.strip())
    tokens = joined.split()
    first = len(tokens)
    while first > 0 and (parse_cell(tokens[first - 1]) or is_missing(tokens[first - 1])):
        first -= 1
    label = " ".join(tokens[:first])
    return [label, *tokens[first:]] if label else tokens


def _heads(line: str) -> list[str]:
    """The words of a line of heads, those joined that name one metric."""
    heads: list[str] = []
    for token in line.split():
        if heads and _joins(heads[-1], token):
            heads[-1] += f" {token}"
        else:
            heads.append(token)
    return heads


def _joins(head: str, token: str) -> bool:
    """Whether a word goes on with the head before it: "Micro F1", "val acc", "Top-1 (%)"."""
    return token.startswith("(") or any(
        re.search(rf"(?<!\S)(?:{first})$", head, re.I) and re.fullmatch(second, token, re.I)
        for first, second in _PAIRS
    )
