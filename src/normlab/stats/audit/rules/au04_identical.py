"""AU04: two networks do not agree in every digit of every figure.

No arithmetic forbids it, so it is a question: one of them was copied, or they are one network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR, LOSS, MACRO_F1, MICRO_F1, TOP5, TOP5_ERROR
from normlab.stats.audit.model import Entry, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, finding
from normlab.text import join

CODE = "AU04"
TITLE = "rows differ"
NEEDS_IMAGES = False
DIGITS = 6
"""So many digits agree by accident once in a million pairs; more pairs need more digits."""
_FAMILY = {
    **dict.fromkeys((ACCURACY, ERROR, MICRO_F1), "share"),
    **dict.fromkeys((TOP5, TOP5_ERROR), "top-5"),
    LOSS: "loss",
    MACRO_F1: "macro",
}


def check(audited: Audited) -> Iterator[Finding]:
    """Rows of one table with equal figures throughout."""
    for table in audited.tables:
        groups: dict[tuple[object, ...], list[Entry]] = {}
        pairs = max(len(table.entries) * (len(table.entries) - 1) / 2, 1)
        for entry in table.entries:
            if _digits(entry) >= DIGITS + math.log10(pairs):
                groups.setdefault(_print(entry), []).append(entry)
        for group in groups.values():
            names = list(dict.fromkeys(entry.name for entry in group))
            if len(names) > 1 and _apart(group):
                yield _finding(table, group, names)


def _digits(entry: Entry) -> int:
    """How many digits of independent figures an entry prints; less than two figures count none."""
    digits: dict[tuple[str, str], int] = {}
    for (metric, part), figure in entry.figures.items():
        if figure.value not in (0.0, 1.0):
            percent = 2 if metric != LOSS and figure.unit < 10.0**-figure.printed.decimals else 0
            own = figure.printed.decimals + percent
            key = (_FAMILY[metric], part)
            digits[key] = max(digits.get(key, 0), own)
    return sum(digits.values()) if len(digits) > 1 else 0


def _print(entry: Entry) -> tuple[object, ...]:
    figures = sorted((metric, part, f.text) for (metric, part), f in entry.figures.items())
    return (entry.dataset, *figures)


def _apart(group: list[Entry]) -> bool:
    """Whether the entries share no row and no column: pieces of one row may well agree."""
    rows = {figure.row for entry in group for figure in entry.figures.values()}
    return len(rows) > 1


def _finding(table: PublishedTable, group: list[Entry], names: list[str]) -> Finding:
    figures = [figure for entry in group for figure in entry.figures.values()]
    first = group[0].figures.values()
    listed = ", ".join(
        f"{f.part + ' ' if len(group[0].parts()) > 1 else ''}{f.metric} {f.text}" for f in first
    )
    text = f"all have {listed}: was one copied, or are they one network?"
    if len(names) == 2:
        text = text.replace("all have", "both have")
    return finding(CODE, "question", table, join(names[:6]), text, figures)
