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
    """Rows over one factor (8, 32, 128) for one arm, against the row where it is not named."""
    for table in audited.tables:
        longer: dict[tuple[str, ...], list[Entry]] = {}
        for entry in table.entries:
            longer.setdefault(entry.labels[:-1], []).append(entry)
        for entry in table.entries:
            rows = [row for row in longer.get(entry.labels, []) if _is_value_of(row, entry)]
            yield from _compared(table, rows, entry, table)
        rows = _numbered(table)
        if len(rows) < 2:
            continue
        head = _head_of(rows[0])
        for other in audited.tables:
            if other is table or _numbered(other):
                continue
            for entry in other.entries:
                begins = re.match(rf"{re.escape(entry.name)}(?![\w-])", head, re.IGNORECASE)
                if entry.name and (begins or _only_name_in(table.title, entry, other)):
                    yield from _compared(table, rows, entry, other)


def _is_value_of(one: Entry, entry: Entry) -> bool:
    """Whether an entry is the other one at a value of one more factor."""
    last = one.labels[-1] if one.labels else ""
    shared = set(one.figures) & set(entry.figures)
    return any(entry.labels) and bool(shared) and re.search(r"\s[\d.e-]+$", last) is not None


def _head_of(entry: Entry) -> str:
    """What stands before the number of a name: "BN, batch" of "BN, batch 8"."""
    return re.sub(r"[\s=]*[\d.e-]+$", "", entry.name)


def _numbered(table: PublishedTable) -> list[Entry]:
    """The entries of a table if every one is called by a number, as "BN, batch 8" is."""
    named = [entry for entry in table.entries if re.search(r"(?:^|[\s=])[\d.e-]+$", entry.name)]
    all_single = all(len(entry.labels) == 1 for entry in table.entries)
    return named if len(named) == len(table.entries) and all_single else []


def _compared(
    table: PublishedTable, rows: Sequence[Entry], entry: Entry, other: PublishedTable
) -> Iterator[Finding]:
    """A question if none of the rows of one factor equals the row that one of them should be."""
    if len(rows) < 2 or any(row.dataset != entry.dataset for row in rows):
        return
    shared = set(entry.figures) & set(rows[0].figures)
    if len({metric for metric, _ in shared}) < 2:
        return
    for row in rows:
        own = shared & set(row.figures)
        if all(same_print(entry.figures[key], row.figures[key]) for key in own):
            return
    key = min(shared, key=lambda pair: (pair[0] == LOSS, pair))
    figures = [row.figures[key] for row in rows if key in row.figures]
    listed = ", ".join(figure.text for figure in figures)
    where = "one row" if other is table else f"“{other.title}” (line {other.raw.line})"
    text = (
        f"{key[1]} {key[0]} of {entry.name} is {entry.figures[key].text} in {where} and {listed} "
        "here: which of these has the setting of the other?"
    ).strip()
    name = f"{entry.name}: {_head_of(rows[0])}"
    yield finding(CODE, "question", table, name, text, figures)


def _only_name_in(title: str, entry: Entry, other: PublishedTable) -> bool:
    """Whether a title names this row of another table, and no other row of it."""
    named = [
        one.name
        for one in other.entries
        if one.name and re.search(rf"(?<![\w-]){re.escape(one.name)}(?![\w-])", title)
    ]
    return named == [entry.name]
