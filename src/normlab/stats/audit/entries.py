"""From the cells of a table to its entries, one for each network that the table is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from normlab.stats.audit.grid import Cell, RawTable
from normlab.stats.audit.heads import (
    LOSS,
    MAYBE_DIFFERENCE,
    METRICS,
    NO_NETWORK,
    Head,
    read_head,
    slash_heads,
)
from normlab.stats.audit.model import Entry, Figure
from normlab.stats.audit.numbers import is_missing, parse_cell
from normlab.stats.audit.units import in_fractions

_FACTOR = re.compile(r"batch|\blr\b|learning|epoch", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How a table is to be read."""

    heads: tuple[Head, ...]
    head_texts: tuple[str, ...]
    labels: tuple[int, ...]
    """Columns that say what a row is."""
    figures: tuple[int, ...]
    """Columns that hold figures."""
    metric_rows: bool
    """Whether the rows, not the columns, say the metric."""
    title_metric: str | None
    title_text: str
    part: str
    dataset: str
    decimal_comma: bool


@dataclass(frozen=True)
class _RowFacts:
    """What the labels of a row, and the row of names above it, say."""

    labels: tuple[str, ...]
    name: str
    part: str
    dataset: str
    metric: str | None
    averaged: bool
    extras: tuple[str, ...]


@dataclass
class _Draft:
    labels: tuple[str, ...]
    name: str
    dataset: str
    extras: tuple[str, ...]
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)


def build_entries(
    raw: RawTable, header_rows: int, layout: Layout, offset: tuple[int, int]
) -> tuple[list[Entry], list[str]]:
    """The entries of a table, and the cells among its figures that could not be read.

    `offset` is where the table begins in the one that it is a piece of.
    """
    drafts: dict[tuple[object, ...], _Draft] = {}
    unread: list[str] = []
    group = ""
    above: Sequence[str] = ()
    names = {row[column].text for row in raw.cells for column in layout.labels}
    below_zero = _shares_below_zero(raw.cells[header_rows:], layout)
    for row in range(header_rows, len(raw.cells)):
        cells = raw.cells[row]
        if _is_group(cells, layout):
            group = cells[0].text
            continue
        facts, above = _row_facts(cells, layout, group, above)
        if _is_difference(cells, layout, names, below_zero):
            unread += [cells[column].text for column in layout.figures if cells[column].text]
            continue
        for column in layout.figures:
            if cells[column].copied or is_missing(cells[column].text):
                continue
            read = list(_figures(cells[column], column, layout, facts))
            if not read:
                unread.append(cells[column].text)
            for figure, rest in read:
                figure = replace(figure, row=row + offset[0], column=column + offset[1])
                _store(drafts, figure, rest, facts, layout)
    entries = [Entry(d.labels, d.name, d.dataset, d.extras, d.figures) for d in drafts.values()]
    return list(in_fractions(entries, metric_rows=layout.metric_rows)), unread


def _store(
    drafts: dict[tuple[object, ...], _Draft],
    figure: Figure,
    rest: str,
    facts: _RowFacts,
    layout: Layout,
) -> None:
    """Put a figure to the others of its network: of its row, or of its column."""
    labels = (*facts.labels, rest) if rest else facts.labels
    name = ", ".join(filter(None, (facts.name, rest)))
    place: tuple[object, ...] = (figure.column,) if layout.metric_rows else (figure.row,)
    key = (*place, labels, figure.dataset)
    draft = drafts.setdefault(key, _Draft(labels, name, figure.dataset, facts.extras))
    while (figure.metric, figure.part) in draft.figures:
        key = (*key, "again")
        draft = drafts.setdefault(key, _Draft(labels, name, figure.dataset, facts.extras))
    draft.figures[figure.metric, figure.part] = figure


def _is_group(cells: Sequence[Cell], layout: Layout) -> bool:
    """Whether a row is a name over the rows below it."""
    own = [cell for cell in cells if cell.text and not cell.copied]
    return len(own) == 1 and own[0] is cells[0] and not parse_cell(cells[0].text)


def _is_difference(
    cells: Sequence[Cell], layout: Layout, names: set[str], below_zero: Mapping[int, float]
) -> bool:
    """Whether a row holds differences of other rows.

    It is called so, or holds negative shares and neither its name nor the other rows speak against.
    """
    texts = [cells[column].text for column in layout.labels]
    if layout.metric_rows:
        return False
    if any(NO_NETWORK.search(text) for text in texts):
        return True
    pieces = [re.split(r"\s*[-−–]\s*", text) for text in texts]
    if any(len(piece) == 2 and set(piece) <= names for piece in pieces):
        return True
    own = [column for column in layout.figures if _is_below_zero(cells, column, layout)]
    plain = any(texts) and not any(MAYBE_DIFFERENCE.search(text) for text in texts)
    signed = any(cells[column].text.lstrip().startswith("+") for column in layout.figures)
    return bool(own) and (signed or not plain or max(below_zero[c] for c in own) > 1 / 3)


def _is_below_zero(cells: Sequence[Cell], column: int, layout: Layout) -> bool:
    if layout.heads[column].metric == LOSS:
        return False
    numbers = parse_cell(cells[column].text, decimal_comma=layout.decimal_comma)
    return any(number is not None and number.value < 0 for number in numbers)


def _shares_below_zero(rows: Sequence[Sequence[Cell]], layout: Layout) -> dict[int, float]:
    """Of each column of figures, how many of its numbers are negative, as a share."""
    result = {}
    for column in layout.figures:
        filled = [row for row in rows if parse_cell(row[column].text)]
        negative = sum(_is_below_zero(row, column, layout) for row in filled)
        result[column] = negative / max(len(filled), 1)
    return result


def _row_facts(
    cells: Sequence[Cell], layout: Layout, group: str, above: Sequence[str]
) -> tuple[_RowFacts, Sequence[str]]:
    texts = [cells[column].text for column in layout.labels]
    if len(texts) > 1 and len(above) == len(texts):
        first_given = next((i for i, text in enumerate(texts) if text), 0)
        texts = [above[i] if i < first_given else text for i, text in enumerate(texts)]
    labels: list[str] = [group] if group else []
    words: list[str] = [group] if group else []
    part = read_head(group).part if group else ""
    dataset = read_head(group).dataset if group else ""
    metric: str | None = None
    for column, text in zip(layout.labels, texts, strict=True):
        head = read_head(text)
        head_text = layout.head_texts[column]
        if layout.metric_rows and head.metric in METRICS and metric is None:
            metric, part, dataset = head.metric, head.part or part, head.dataset or dataset
            label = head.rest
        elif head.metric is None and not head.rest and (head.part or head.dataset):
            part, dataset, label = head.part or part, head.dataset or dataset, ""
        else:
            own = re.search(r"[(,:–-]\s*(train|val|test)\w*\W*$", text, re.IGNORECASE)
            part = read_head(own[1]).part if own else part
            label = text[: own.start()].strip() if own else text
        if label and (parse_cell(label) or re.fullmatch(r"[\d.]+\s?[kKMGB]*", label)):
            labels.append(f"{head_text} {label}".strip())
            if not words or _FACTOR.search(head_text):
                words.append(labels[-1])
        elif label:
            labels.append(label)
            words.append(label)
    averaged = re.search(r"\bmeans?\b|\bav(?:g|erage)\b|\bmedian\b|ensemble", " ".join(texts), re.I)
    extras = tuple(
        cells[c].text for c in range(len(cells)) if c not in (*layout.labels, *layout.figures)
    )
    name = ", ".join(words)
    facts = _RowFacts(tuple(labels), name, part, dataset, metric, averaged is not None, extras)
    return facts, texts


def _figures(
    cell: Cell, column: int, layout: Layout, facts: _RowFacts
) -> Iterator[tuple[Figure, str]]:
    """The figures of a cell, each with what its head says beside the metric."""
    numbers = parse_cell(cell.text, decimal_comma=layout.decimal_comma)
    heads = _heads_of(column, layout, len(numbers))
    if not numbers or heads is None:
        return
    for number, head in zip(numbers, heads, strict=True):
        metric = facts.metric if layout.metric_rows else head.metric
        if number is None or metric not in METRICS:
            continue
        figure = Figure(
            metric=metric,
            part=head.part or facts.part or layout.part,
            dataset=head.dataset or facts.dataset or layout.dataset,
            printed=replace(number, percent=number.percent or head.percent),
            value=number.value,
            unit=10.0**-number.decimals,
            known_scale=True,
            averaged=head.averaged or facts.averaged,
            row=0,
            column=0,
        )
        yield figure, head.rest


def _heads_of(column: int, layout: Layout, count: int) -> list[Head] | None:
    """The heads of a cell's numbers, None where it has more or fewer numbers than heads."""
    own = layout.heads[column]
    text = layout.head_texts[column]
    if own.metric is None and layout.title_metric is not None:
        own = replace(own, metric=layout.title_metric)
    if layout.metric_rows:
        return [own] if count == 1 else None
    split = slash_heads(text) if own.metric in METRICS else []
    if not split and own.metric is None:
        split = slash_heads(layout.title_text)
        named = [replace(read_head(name), rest=own.rest, part=own.part) for name in split]
        known = all(head.metric in METRICS for head in named)
        return named if known and len(named) == count else None
    if count == 1:
        different = {read_head(name).metric for name in split} if split else set()
        return None if len(different) > 1 else [own]
    named = [read_head(name) for name in split]
    return named if len(named) == count else None
