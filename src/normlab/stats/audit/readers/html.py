"""HTML: `<table>` with `rowspan` and `colspan`, alone or inside of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from normlab.stats.audit.grid import GridBuilder, RawTable, Span, rectangular

_SILENT = ("script", "style", "del", "s", "strike", "sup")


def find_html(text: str) -> Iterator[tuple[RawTable, int]]:
    """The tables of a text, and the last line of each; a table within a table stands alone."""
    first = re.search(r"<table\b", text, re.IGNORECASE)
    if first is None:
        return
    parser = _Tables()
    parser.feed(text)
    parser.close()
    yield from sorted(parser.found, key=lambda pair: pair[0].line)


class _Open:
    """A table that is being read."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.builder = GridBuilder()
        self.row: list[Span] | None = None
        self.in_cell = False
        self.only_heads = True
        self.heads = 0
        self.in_head = False
        self.caption = ""

    def end_row(self) -> None:
        if self.row:
            for span in self.row:
                span.text = " ".join(span.text.split())
            self.builder.add(self.row)
            all_before = self.heads == len(self.builder.rows) - 1
            if (self.in_head or self.only_heads) and all_before:
                self.heads = len(self.builder.rows)
        self.row, self.in_cell, self.only_heads = None, False, True


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[RawTable, int]] = []
        self._open: list[_Open] = []
        self._silent: list[str] = []
        self._caption = False
        self._headings: list[tuple[int, str]] = []
        self._heading: int | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._open.append(_Open(self.getpos()[0]))
        elif re.fullmatch(r"h[1-6]", tag):
            level = int(tag[1])
            self._headings = [pair for pair in self._headings if pair[0] < level]
            self._headings.append((level, ""))
            self._heading = level
        elif tag in _SILENT and not (tag == "sup" and self._after_ten()):
            self._silent.append(tag)
        if not self._open:
            return
        table = self._open[-1]
        if tag == "thead":
            table.in_head = True
        elif tag == "tbody":
            table.in_head = False
        elif tag == "caption":
            self._caption = True
        elif tag == "tr":
            table.end_row()
            table.row = []
        elif tag in ("td", "th"):
            table.row = table.row if table.row is not None else []
            size = (_size(given.get("colspan")), _size(given.get("rowspan")))
            table.row.append(Span("", *size))
            table.in_cell = True
            table.only_heads = table.only_heads and tag == "th"
        elif tag in ("br", "p", "div", "li"):
            self.handle_data(" ")

    def _after_ten(self) -> bool:
        row = self._open[-1].row if self._open else None
        return bool(row) and row[-1].text.rstrip().endswith("10")  # type: ignore[index]

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()
        if re.fullmatch(r"h[1-6]", tag):
            self._heading = None
        if not self._open:
            return
        table = self._open[-1]
        if tag == "caption":
            self._caption = False
        elif tag == "thead":
            table.end_row()
            table.in_head = False
        elif tag in ("td", "th"):
            table.in_cell = False
        elif tag == "tr":
            table.end_row()
        elif tag == "table":
            table.end_row()
            self._open.pop()
            cells = rectangular(table.builder.rows)
            if cells:
                raw = RawTable(
                    cells,
                    table.line,
                    header_rows=table.heads or None,
                    caption=" ".join(table.caption.split()),
                    headings=tuple(" ".join(text.split()) for _, text in self._headings),
                )
                self.found.append((raw, self.getpos()[0]))

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._heading is not None and self._headings:
            level, text = self._headings[-1]
            self._headings[-1] = (level, text + data)
        if not self._open:
            return
        table = self._open[-1]
        if self._caption:
            table.caption += data
        elif table.in_cell and table.row:
            table.row[-1].text += data


def _size(text: str | None) -> int:
    digits = (text or "").strip()
    return min(int(digits), 200) if digits.isdigit() and int(digits) else 1
