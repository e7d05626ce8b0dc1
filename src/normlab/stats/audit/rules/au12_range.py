"""AU12: a share lies between 0 and 1.

A share above 1 is certain where at least half of the figures under its head lie below 1: more than
the full set may be meant if they reach 1, as in "100 % of the baseline". A negative number may be a
difference of two rows; it is certain only where its row holds another share of the usual size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median

from normlab.stats.audit.heads import (
    ERROR,
    LOSS,
    MAYBE_DIFFERENCE,
    METRICS,
    TOP5_ERROR,
    read_head,
)
from normlab.stats.audit.model import Entry, Figure, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, Kind, about, finding

CODE = "AU12"
TITLE = "shares between 0 and 1"
NEEDS_IMAGES = False
_RELATIVE = re.compile(
    r"relative|retain|retention|recover|adjusted|normali[sz]ed (?:acc|to|by)|% of", re.I
)


def check(audited: Audited) -> Iterator[Finding]:
    """Every share below 0, or above 1 beside others that are not."""
    for table in audited.tables:
        for entry, figure in table.shares():
            if not figure.printed.exact or figure.text.startswith("+"):
                continue
            if figure.value < 0:
                yield from _below(table, entry, figure)
            elif figure.value > 1 + 1e-9:
                yield from _above(table, entry, figure)


def _above(table: PublishedTable, entry: Entry, figure: Figure) -> Iterator[Finding]:
    line = [f for f in table.line_of(figure) if f.scale == figure.scale or f.known_scale]
    under = sum(0 <= f.value < 1 for f in line)
    error = figure.metric in (ERROR, TOP5_ERROR)  # a relative error may well be above 100 %
    enough = under * 2 > len(line) or (under * 2 == len(line) and not error)
    doubt = _doubt(table, figure)
    if not enough:
        first = next(f for f in line if f.value > 1 + 1e-9) is figure
        if error or not first or not figure.known_scale or not (figure.is_signed or under):
            return
        doubt = doubt or "; is it relative to something?"
    elif not figure.known_scale:
        doubt = ", if it is a share like the others; is it per cent?"
    text = f"{figure.metric} {figure.text} is above {'1' if figure.scale == 1 else '100 %'}"
    kind: Kind = "question" if doubt else "certain"
    yield finding(CODE, kind, table, about(entry, figure), text + doubt, [figure])


def _doubt(table: PublishedTable, figure: Figure) -> str:
    heads = [head for head, _ in table.columns]
    if _RELATIVE.search(" ".join([table.title, *heads])):
        return "; is it relative to something?"
    if not (figure.is_signed or any(read_head(head).metric in METRICS for head in heads)):
        return f"; is it {figure.metric}? No head says so"
    return ""


def _below(table: PublishedTable, entry: Entry, figure: Figure) -> Iterator[Finding]:
    line = table.line_of(figure)
    negative = sum(f.value < 0 for f in line)
    if negative * 3 > len(line) or MAYBE_DIFFERENCE.search(entry.name):
        return
    usual = any(_is_usual(f, table.line_of(f)) for f in entry.figures.values())
    doubt = _doubt(table, figure) or ("" if usual else "; is it a difference?")
    text = f"{figure.metric} {figure.text} is below 0{doubt}"
    kind: Kind = "question" if doubt else "certain"
    yield finding(CODE, kind, table, about(entry, figure), text, [figure])


def _is_usual(figure: Figure, line: Sequence[Figure]) -> bool:
    """Whether a figure has the size of those that other rows have under its head."""
    if figure.metric in (LOSS, ERROR, TOP5_ERROR) or figure.text.startswith("+"):
        return False
    others = [f.value for f in line if f is not figure and f.known_scale]
    return len(others) > 1 and figure.value >= median(others) / 2 > 0
