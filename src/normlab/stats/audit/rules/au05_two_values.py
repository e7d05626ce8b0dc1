"""AU05: one cell is not printed with two values.

Tables rarely say all that a row is: a setting that the text alone names makes two rows different.
So only a reader who says `--same` can make it certain; without, it is a question, and only where
everything that is printed about two rows agrees, or where a table over the values of one factor has
no row that equals the row of another table that one of them should be.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from normlab.stats.audit.heads import LOSS
from normlab.stats.audit.labels import context_words, key_of
from normlab.stats.audit.model import Entry, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, finding, same_print

CODE = "AU05"
TITLE = "one cell, one value"
NEEDS_IMAGES = False

Placed = tuple[PublishedTable, Entry]


def check(audited: Audited) -> Iterator[Finding]:
    """Cells that contradict each other."""
    yield from _said_to_be_same(audited)
    yield from _all_words_equal(audited)
    yield from _sweeps(audited)


def _said_to_be_same(audited: Audited) -> Iterator[Finding]:
    for one, other in audited.known.same.items():
        left = [p for p in audited.entries() if key_of([p[1].name]) == key_of([one])]
        right = [p for p in audited.entries() if key_of([p[1].name]) == key_of([other])]
        if not left or not right:
            missing = one if not left else other
            audited.notes.append(f"--same names {missing.strip()!r}, and no row is called so")
        for (table, a), (second, b) in itertools.product(left, right):
            for metric, part in a.figures:
                x, y = a.figures[metric, part], b.get(metric, part)
                if y is not None and x.usable and y.usable and not same_print(x, y):
                    text = f"{metric} is {x.text} in one table and {y.text} in another"
                    if part:
                        text = f"{part} {text}"
                    figures = [x] + ([y] if second is table else [])
                    row = f"{a.name} and {b.name}"
                    yield finding(CODE, "certain", table, row, text, figures)


def _all_words_equal(audited: Audited) -> Iterator[Finding]:
    groups: dict[tuple[object, ...], list[Placed]] = {}
    for table, entry in audited.entries():
        if any(entry.labels):
            key = (key_of(entry.labels), entry.dataset, context_words(table), entry.extras)
            groups.setdefault(key, []).append((table, entry))
    for group in groups.values():
        for (table, one), (second, other) in itertools.combinations(group[:6], 2):
            for metric, part in one.figures:
                x, y = one.figures[metric, part], other.get(metric, part)
                if y is None or not (x.usable and y.usable) or same_print(x, y):
                    continue
                where = "twice in the table" if second is table else "here and in another table"
                text = (
                    f"{metric} is printed {where}: {x.text} and {y.text}"
                    f"{'' if second is table else f' (line {second.raw.line})'}; what tells the "
                    "two rows apart?"
                )
                figures = [x, y] if second is table else [x]
                yield finding(CODE, "question", table, one.name, text, figures)


def _sweeps(audited: Audited) -> Iterator[Finding]:
    """Tables over one factor (8, 32, 128) for one arm, against the table where it is one row."""
    for table in audited.tables:
        rows = _numbered(table)
        if len(rows) < 2:
            continue
        for other in audited.tables:
            if other is not table and not _numbered(other) and other.raw.file == table.raw.file:
                yield from _against(table, rows, other)


def _numbered(table: PublishedTable) -> list[Entry]:
    """The entries of a table if every one is called by a number, as "BN, batch 8" is."""
    named = [entry for entry in table.entries if re.search(r"(?:^|[\s=])[\d.e-]+$", entry.name)]
    all_single = all(len(entry.labels) == 1 for entry in table.entries)
    return named if len(named) == len(table.entries) and all_single else []


def _against(
    table: PublishedTable, rows: Sequence[Entry], other: PublishedTable
) -> Iterator[Finding]:
    head = re.sub(r"[\s=]*[\d.e-]+$", "", rows[0].name)
    title = table.title
    for entry in other.entries:
        name = re.escape(entry.name)
        if not entry.name or not (
            re.match(rf"{name}(?![\w-])", head, re.I) or _only_name_in(title, entry, other)
        ):
            continue
        shared = set(entry.figures) & set(rows[0].figures)
        if len({metric for metric, _ in shared}) < 2:
            continue
        if any(
            all(same_print(entry.figures[k], row.figures[k]) for k in shared & set(row.figures))
            for row in rows
        ):
            continue
        key = min(shared, key=lambda pair: (pair[0] == LOSS, pair))
        listed = ", ".join(row.figures[key].text for row in rows if key in row.figures)
        text = (
            f"{key[1]} {key[0]} of {entry.name} is {entry.figures[key].text} in “{other.title}” "
            f"(line {other.raw.line}) and {listed} here: which of these rows has the setting of "
            "that table?"
        ).strip()
        figures = [row.figures[key] for row in rows if key in row.figures]
        yield finding(CODE, "question", table, f"{entry.name}: {head}", text, figures)


def _only_name_in(title: str, entry: Entry, other: PublishedTable) -> bool:
    """Whether a title names this row of another table, and no other row of it."""
    named = [
        one.name
        for one in other.entries
        if one.name and re.search(rf"(?<![\w-]){re.escape(one.name)}(?![\w-])", title)
    ]
    return named == [entry.name]
