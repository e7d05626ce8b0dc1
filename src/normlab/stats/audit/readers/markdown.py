"""Markdown: tables of pipes, with or without the outer ones."""

from __future__ import annotations

from collections.abc import Iterator

from markdown_it import MarkdownIt

from normlab.stats.audit.grid import Cell, RawTable, rectangular
from normlab.stats.audit.readers.markup import clean


def find_markdown(text: str) -> Iterator[tuple[RawTable, int]]:
    """The tables of pipes in a text, and the last line of each."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[Cell]] = []
    heads = first = 0
    last = 0
    for index, token in enumerate(tokens):
        if token.type == "table_open":
            first, last = token.map or (0, 0)
            rows, heads = [], 0
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(Cell(clean(tokens[index + 1].content)))
        elif token.type == "thead_close":
            heads = len(rows)
        elif token.type == "table_close":
            cells = rectangular(rows)
            yield RawTable(cells, line=first + 1, header_rows=heads), last


def headings_of(text: str) -> dict[int, tuple[int, str]]:
    """Line (from 1) → level and text of every heading of a Markdown text."""
    tokens = MarkdownIt("commonmark").parse(text)
    return {
        token.map[0] + 1: (int(token.tag[1]), clean(tokens[index + 1].content))
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.map
    }
