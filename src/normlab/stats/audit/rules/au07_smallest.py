"""AU07: the smallest difference that N images can show, once a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, ERROR
from normlab.stats.audit.model import Figure, PublishedTable
from normlab.stats.audit.rules.base import Audited, Finding, Z, finding
from normlab.text import count

CODE = "AU07"
TITLE = "differences beyond sampling error"
NEEDS_IMAGES = True


def check(audited: Audited) -> Iterator[Finding]:
    """One line for every table in which rows are closer than their images can tell apart."""
    for table in audited.tables:
        groups: dict[tuple[str, str], list[Figure]] = {}
        for _, figure in table.shares():
            if figure.metric in (ACCURACY, ERROR) and figure.part != "train" and figure.usable:
                groups.setdefault((figure.part, figure.dataset), []).append(figure)
        for figures in groups.values():
            images = audited.images_of(figures[0])
            if images and len(figures) > 1:
                runs = max(audited.runs_of(table, figure) for figure in figures)
                yield from _judge(table, figures, images, max(runs, 1))


def _judge(
    table: PublishedTable, figures: list[Figure], images: int, runs: int
) -> Iterator[Finding]:
    close = [
        (a, b)
        for a, b in itertools.combinations(figures, 2)
        if abs(a.value - b.value) <= _error(a.value, b.value, images)
    ]
    if not close:
        return
    values = sorted(figure.value for figure in figures)
    middle = values[len(values) // 2]
    smallest = _error(middle, middle, images)
    pairs = len(figures) * (len(figures) - 1) // 2
    text = (
        f"{images:,} images show a difference from {100 * smallest:.2f} points on "
        f"(1.96·√(2a(1 − a)/N) at a = {middle:.4f}; if one network is right wherever the other "
        f"is, from {100 * Z**2 / images:.2f} on): {len(close):,} of {count(pairs, 'pair')} "
        f"{'is' if len(close) == 1 else 'are'} closer"
    )
    if runs > 1:
        text += f"; runs ({runs}) do not help, for all are measured on the same images"
    yield finding(CODE, "question", table, "all rows", text)


def _error(a: float, b: float, images: int) -> float:
    middle = min(max((a + b) / 2, 0.0), 1.0)
    return Z * math.sqrt(2 * middle * (1 - middle) / images)
