"""AU01: an accuracy is a count of images (GRIM, Brown & Heathers 2017).

Whoever prints k/N to so many digits rounds all numbers, or cuts all of them off: a document is
tested once for each way, and a cell is named only if neither way explains all cells. Where half as
many cells fail as would for a wrong number of images (three at least), that number is doubted and
no cell is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from normlab.stats.audit.heads import ACCURACY, ERROR, TOP5, TOP5_ERROR
from normlab.stats.audit.model import Entry, Figure, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, Kind, about, finding

CODE = "AU01"
TITLE = "accuracy is a count of images"
NEEDS_IMAGES = True
COUNTED = (ACCURACY, ERROR, TOP5, TOP5_ERROR)


@dataclass(frozen=True)
class _Case:
    table: PublishedTable
    entry: Entry
    figure: Figure
    images: int
    runs: int

    @property
    def total(self) -> int:
        return self.images * self.runs


def check(audited: Audited) -> Iterator[Finding]:
    """Every accuracy that no count gives."""
    groups: dict[tuple[object, ...], list[_Case]] = {}
    for table in audited.tables:
        for entry, figure in table.shares():
            images = audited.images_of(figure) if figure.metric in COUNTED else None
            runs = audited.runs_of(table, figure)
            if images and runs and figure.usable and _has_power(figure, images * runs):
                key = (figure.dataset, figure.part, images, runs)
                case = _Case(table, entry, figure, images, runs)
                groups.setdefault(key, []).append(case)
    for cases in groups.values():
        yield from _judge(cases, stated=audited.known.runs is not None)


def _has_power(figure: Figure, total: int) -> bool:
    return figure.unit * total < 1


def _expected(case: _Case) -> float:
    """The chance that a figure is no count out of so many images if it is of others."""
    return 1 - case.figure.unit * case.total


def _judge(cases: Sequence[_Case], *, stated: bool) -> Iterator[Finding]:
    rounded = [case for case in cases if not _possible(case, rounds)]
    cut = [case for case in cases if not _possible(case, cuts)]
    if not rounded or not cut:
        return
    fewest, other = (cut, rounds) if len(cut) < len(rounded) else (rounded, cuts)
    if len(fewest) >= 3 and len(fewest) * 2 > sum(_expected(case) for case in cases):
        table = fewest[0].table
        text = (
            f"{len(fewest)} of {len(cases)} accuracies are no count out of {fewest[0].images:,} "
            "images: is that the number of images?"
        )
        yield finding(CODE, "question", table, "all rows", text, _figures_in(table, fewest))
        return
    for case in fewest:
        unsure = case.table.runs is None and case.table.elsewhere and not stated
        sure: Kind = "question" if unsure else "certain"
        text = _arithmetic(case, explained=_possible(case, other))
        if sure == "question":
            text += "; a mean over several runs, of which the document speaks elsewhere, could be"
        name = about(case.entry, case.figure)
        yield finding(CODE, sure, case.table, name, text, [case.figure])


def _figures_in(table: PublishedTable, cases: Sequence[_Case]) -> list[Figure]:
    return [case.figure for case in cases if case.table is table]


def rounds(figure: Figure) -> tuple[float, float]:
    """The values that are printed so if all are rounded."""
    noise = max(1e-9, figure.value * 1.2e-7)
    return figure.value - figure.unit / 2 - noise, figure.value + figure.unit / 2 + noise


def cuts(figure: Figure) -> tuple[float, float]:
    """The values that are printed so if all are cut off; the upper bound is not reached."""
    noise = max(1e-9, figure.value * 1.2e-7)
    return figure.value - noise, figure.value + figure.unit - noise


def _possible(case: _Case, way: Callable[[Figure], tuple[float, float]]) -> bool:
    low, high = way(case.figure)
    return math.ceil(low * case.total) <= math.floor(high * case.total)


def _arithmetic(case: _Case, *, explained: bool) -> str:
    figure, total = case.figure, case.total
    below = math.floor(figure.value * total)
    scale = 100 if figure.value and abs(figure.printed.value / figure.value - 100) < 1 else 1
    digits = figure.printed.decimals + 2
    of = f"{total}" if case.runs == 1 else f"({case.images}·{case.runs})"
    one, two = (f"{k}/{of} = {scale * k / total:.{digits}f}" for k in (below, below + 1))
    text = f"{figure.text}: {one} and {two}, and nothing between"
    if case.runs == 1:
        text += " for one network, measured once"
    if explained:
        text += "; cutting off digits in place of rounding gives this cell and forbids others"
    return text
