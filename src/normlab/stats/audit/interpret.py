"""What the cells of a table are: heads, labels, figures, and what each figure measures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from normlab.stats.audit.entries import Layout, build_entries
from normlab.stats.audit.grid import Cell, RawTable, side_by_side
from normlab.stats.audit.heads import (
    METRICS,
    OTHER,
    Head,
    datasets_in,
    mentions_runs,
    metrics_in_prose,
    other_task_in,
    part_of_prose,
    read_head,
    runs_in,
)
from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.numbers import parse_cell, uses_decimal_commas

_NO_FIGURE = re.compile(
    r"param|flop|madd|\bmacs?\b|\bsize\b|\bm?b\b|time|latency|speed|fps|throughput|memory|epoch"
    r"|learning rate|\blr\b|batch|year|layers|depth|width|resolution|crop|\bimg|image|\brank\b"
    r"|\bno\b|#|gpu|link|download|\blog\b|config|command|weight|hash|hashtag|seed|samples|class|\bn\b"
    r"|interpol|iter|step|version|support|\bms\b",
    re.IGNORECASE,
)
_INDEX = re.compile(r"(?:no\.?|#|rank|id|index|nr\.?|table|)", re.IGNORECASE)


def interpret(raw: RawTable, document: str = "") -> list[PublishedTable]:
    """The tables in a raw table, of which several may stand side by side, read."""
    elsewhere, doubt = mentions_runs(document), other_task_in(document)
    tables = []
    for beside, offset in side_by_side(raw):
        for section, first_row in _sections(beside):
            tables.append(_table(section, raw, (first_row, offset), elsewhere, doubt))
    return tables


def _sections(raw: RawTable) -> Iterator[tuple[RawTable, int]]:
    """A table cut where a new row of heads begins, and the row where each piece begins."""
    starts = [0]
    for index, row in enumerate(raw.cells):
        named = {read_head(cell.text).metric for cell in row[1:]} & set(METRICS)
        before = [any(_is_number(c) for c in r[1:]) for r in raw.cells[starts[-1] : index]]
        if len(named) > 1 and not any(_is_number(cell) for cell in row[1:]) and any(before):
            starts.append(index)
    for start, end in zip(starts, [*starts[1:], len(raw.cells)], strict=True):
        heads = raw.header_rows if start == 0 else None
        yield replace(raw, cells=raw.cells[start:end], header_rows=heads), start


def _is_number(cell: Cell) -> bool:
    return bool(parse_cell(cell.text))


def _table(
    raw: RawTable, whole: RawTable, offset: tuple[int, int], elsewhere: bool, doubt: str
) -> PublishedTable:
    header_rows = _header_rows(raw)
    layout = _layout(raw, header_rows)
    entries, unread = build_entries(raw, header_rows, layout, offset)
    spread = any(f.printed.spread for e in entries for f in e.figures.values())
    spread = spread or any(head.spread for head in layout.heads)
    local = [raw.caption, raw.above if raw.near else "", raw.below, *raw.headings[-1:]]
    runs = runs_in([*local, *layout.head_texts])
    if spread and runs in (None, 1):
        runs = 0
    used = {figure.column - offset[1] for entry in entries for figure in entry.figures.values()}
    if layout.metric_rows:
        by_row = {f.row: f.metric for e in entries for f in e.figures.values()}
        columns = [(whole.cells[row][offset[1]].text, metric) for row, metric in by_row.items()]
    else:
        metrics = {(f.column - offset[1], f.metric) for e in entries for f in e.figures.values()}
        columns = [(layout.head_texts[column], metric) for column, metric in sorted(metrics)]
    return PublishedTable(
        raw=whole,
        title=whole.title,
        entries=tuple(entries),
        columns=tuple(columns),
        unused=tuple(
            text
            for column, text in enumerate(layout.head_texts)
            if column not in used and column not in layout.labels and text
        ),
        unread=tuple(unread),
        runs=runs,
        elsewhere=elsewhere,
        doubt=doubt,
        has_spread=spread or bool(runs and runs > 1),
        metric_rows=layout.metric_rows,
    )


def _header_rows(raw: RawTable) -> int:
    """How many rows are heads: those that the format says, and rows of names right below."""
    count = max(raw.header_rows or 1, 1)
    for index in range(count, len(raw.cells) - 1):
        row = raw.cells[index]
        if any(_is_number(cell) for cell in row[1:]):
            break
        named = any(read_head(c.text).metric or datasets_in(c.text) for c in row[1:] if c.text)
        below_head = any(
            cell.copied and cell.text == raw.cells[0][c].text for c, cell in enumerate(row)
        )
        if (named or below_head) and len({cell.text for cell in row if cell.text}) > 1:
            count = index + 1
    return min(count, max(len(raw.cells) - 1, 1))


def _layout(raw: RawTable, header_rows: int) -> Layout:
    texts = tuple(_head_text(raw, header_rows, column) for column in range(len(raw.cells[0])))
    heads = tuple(read_head(text) for text in texts)
    body = raw.cells[header_rows:]
    numeric = [any(_is_number(row[c]) for row in body) for c in range(len(texts))]
    figures = tuple(c for c, head in enumerate(heads) if head.metric in METRICS and numeric[c])
    metric_rows, title_metric, title_text = False, None, ""
    if not figures:
        free = [
            c
            for c in range(1, len(texts))
            if numeric[c] and heads[c].metric != OTHER and not _NO_FIGURE.search(texts[c])
        ]
        metric_rows = _metrics_in_rows(body, texts)
        if metric_rows:
            figures = tuple(free)
        elif not any(head.metric for head in heads):
            title_text = raw.caption or (raw.above if raw.near else "")
            named = metrics_in_prose(re.split(r"(?<=[a-z)])\.\s", title_text)[0])
            if named and OTHER not in named and (len(named) == 1 or "/" in title_text):
                title_metric = next(iter(named)) if len(named) == 1 else None
                figures = tuple(free)
    heads = _without_common(heads, texts, figures)
    first = min(figures, default=len(texts))
    said = [c for c in range(first) if heads[c].metric != OTHER]
    labels = [c for c in said if not _INDEX.fullmatch(texts[c]) or c == 0]
    if len(labels) > 1 and _INDEX.fullmatch(texts[0]) and texts[0]:
        labels = labels[1:]
    if not labels:
        labels = [c for c in range(len(texts)) if c not in figures and not numeric[c]][:1]
    return Layout(
        heads=heads,
        head_texts=texts,
        labels=tuple(labels),
        figures=figures,
        metric_rows=metric_rows,
        title_metric=title_metric,
        title_text=title_text,
        part=_title_part(raw),
        dataset=_title_dataset(raw),
        decimal_comma=uses_decimal_commas([row[c].text for row in body for c in figures]),
    )


def _head_text(raw: RawTable, header_rows: int, column: int) -> str:
    texts = [raw.cells[row][column].text for row in range(header_rows)]
    return " | ".join(dict.fromkeys(text for text in texts if text))


def _without_common(
    heads: tuple[Head, ...], texts: Sequence[str], figures: Sequence[int]
) -> tuple[Head, ...]:
    """Heads whose `rest` leaves out the words that stand over all figures, for they part none."""
    paths = {column: texts[column].split(" | ") for column in figures}
    shared = set.intersection(*map(set, paths.values())) if len(paths) > 1 else set()
    if not shared:
        return heads
    own = list(heads)
    for column, path in paths.items():
        rest = read_head(" | ".join(text for text in path if text not in shared)).rest
        own[column] = replace(own[column], rest=rest)
    return tuple(own)


def _metrics_in_rows(body: Sequence[Sequence[Cell]], texts: Sequence[str]) -> bool:
    """Whether the rows say the metrics: most rows with numbers name one in a leading column."""
    rows = [row for row in body if any(_is_number(cell) for cell in row[1:])]
    named = [
        row
        for row in rows
        if any(read_head(c.text).metric in METRICS and not _is_number(c) for c in row[:3])
    ]
    return len(texts) > 1 and bool(rows) and len(named) * 2 >= len(rows)


def _title_part(raw: RawTable) -> str:
    above = raw.above
    if len(above.split()) > 15:
        above = re.sub(r"\btrain\w*", " ", above, flags=re.IGNORECASE)
    for text in (raw.caption, above, *reversed(raw.headings)):
        part = part_of_prose(text)
        if part:
            return part
    return ""


def _title_dataset(raw: RawTable) -> str:
    for text in (raw.caption, raw.above, *reversed(raw.headings)):
        names = datasets_in(text)
        if names:
            return names[0] if len(names) == 1 else ""
    return ""
